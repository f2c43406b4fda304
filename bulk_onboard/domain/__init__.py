"""Plain values and tables that every other part uses."""
