"""The HTTP client for Leaf: the login, the calls, and the meaning of each answer."""
