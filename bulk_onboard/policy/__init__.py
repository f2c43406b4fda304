"""Decisions: (state of a row, Leaf's latest answer) -> the next step. Pure: no I/O, no clock."""
