"""A module for each format that is recognised by its content, with its `FORMAT`. The rest is text."""
