"""`python -m tests.docs`: write the generated tables of README and docs/ anew."""

from __future__ import annotations

from tests.docs.generated import write
from tests.docs.pages import ROOT

if __name__ == "__main__":
    for page in write():
        print(f"written: {page.relative_to(ROOT)}")
