"""`python -m tests.docs.picture`: take the picture of a report in docs/, from a run against the sandbox."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.pages import DOCS, ROOT

# Row -> the beginning of its token, which tells the sandbox what becomes of its grower.
_CHOSEN = {17: "expired-", 61: "expired-", 102: "expired-", 140: "refused-", 171: "N/A "}


def main() -> None:
    """Onboard the sample growers, of which a few need attention, and photograph the page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        sys.exit("needs Chromium")
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = (ROOT / "samples" / "growers.csv").read_text(encoding="utf-8").splitlines()
        for row, beginning in _CHOSEN.items():
            grower, token, *others = lines[row - 1].split(",")
            token = "N/A" if beginning.startswith("N/A") else beginning + token
            lines[row - 1] = ",".join([grower, token, *others])
        (folder / "growers.csv").write_text("\n".join(lines), encoding="utf-8")
        run = [
            sys.executable,
            "-m",
            "bulk_onboard",
            "run",
            "growers.csv",
            "--sandbox",
            "--format",
            "csv,html",
        ]
        subprocess.run([*run, "-q"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
        [page] = folder.glob("reports/*/report.html")
        options = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--window-size=960,800"]
        shot = f"--screenshot={DOCS / 'report.png'}"
        subprocess.run([chromium, *options, shot, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
