"""Load a file of growers' credentials into Leaf."""

__version__ = "0.1.0"
