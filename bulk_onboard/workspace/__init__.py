"""Duplicates, comparison and results of one run, as SQL over whole tables in DuckDB."""

from bulk_onboard.workspace.workspace import KEPT_COLUMN, Workspace

__all__ = ["KEPT_COLUMN", "Workspace"]
