"""Checking the input: columns, lines that are not rows, and cells. Pure."""
