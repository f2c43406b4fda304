"""The page: who may ask it, what it shows, and the whole way in a real browser."""
