"""Duplicates, comparison and results of one run, as SQL over whole tables in DuckDB."""

from bulk_onboard.workspace.workspace import Workspace

__all__ = ["Workspace"]
