"""The door: options, environment and files become frozen settings; facts become lines and a bar."""
