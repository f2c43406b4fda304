"""The run: it carries out decisions with real I/O, row by row and phase by phase."""
