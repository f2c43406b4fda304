"""Workbooks for people: the original with its problems marked, and an empty one to fill in.

They are written to an open file; the caller decides about its name, permissions and place.
"""

from bulk_onboard.workbook.annotate import Place, SheetPlace, annotate
from bulk_onboard.workbook.new_workbook import write_template
from bulk_onboard.workbook.summary_sheet import Annotated

__all__ = ["Annotated", "Place", "SheetPlace", "annotate", "write_template"]
