"""A real Chromium that opens a page from a file. It asks nobody anything and keeps nothing."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Browser:
    """One window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, path: Path | str, *, width: int = 1280, scheme: str = "light") -> None:
        """Load a page by its file or address; ``scheme``: what its reader prefers, light or dark."""
        self.prefer(width=width, scheme=scheme)
        self.driver.get(path if isinstance(path, str) else path.as_uri())

    def prefer(self, *, width: int, scheme: str) -> None:
        """Set the width of the window and the colours that its reader prefers."""
        self.told("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.told("Emulation.setDeviceMetricsOverride", **size)

    def told(self, command: str, **options: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, options)

    def ask(self, script: str, *arguments: Any) -> Any:
        """What a function body in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What the console says since last asked, e.g. of a policy that was violated."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What was asked for since last asked."""
        events = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]
        sent = [each for each in events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in sent]

    def faults(self) -> list[str]:
        """What axe finds serious or critical."""
        self.ask(_axe())
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(done, (error) => done({fault: String(error)}))"
        )
        assert "violations" in found, found
        grave = [each for each in found["violations"] if each["impact"] in {"serious", "critical"}]
        return [f"{each['id']}: {node['html'][:120]}" for each in grave for node in each["nodes"][:3]]

    def printed(self) -> int:
        """How many pages it takes on paper."""
        self.told("Emulation.clearDeviceMetricsOverride")
        paper = base64.b64decode(self.driver.print_page())
        return len(re.findall(rb"/Type\s*/Page\b", paper))


def _axe() -> str:
    return files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser that keeps what it must in a folder of its own; skips where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    home = folder / "home"
    home.mkdir()
    service = Service(driver, env={"HOME": str(home), "PATH": "/usr/bin:/bin"})
    opened = webdriver.Chrome(options=options, service=service)
    try:
        opened.get("about:blank")  # away from the page of a new window, which is full of scripts
        opened.get_log("performance")
        yield Browser(opened)
    finally:
        opened.quit()
