"""Talking to Leaf: login, the four credentials calls, and what each answer tells."""
