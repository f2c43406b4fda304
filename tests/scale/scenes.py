"""What is simulated for reports/scale.md, and what came of it the last time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.scale.simulation import Scene, Seen, simulate

KEPT = Path(__file__).with_name("simulated.json")

SCENES: dict[str, tuple[Scene, ...]] = {
    "The ceiling alone": tuple(Scene(workers, 500, 15_000) for workers in (1, 4, 16, 64, 256)),
    "More workers than requests per second": (Scene(16, 7, 700), Scene(256, 100, 6_000)),
    "Leaf allows less than the ceiling, and nobody told": (
        Scene(1, 500, 3_000, limit=100),
        Scene(3, 500, 3_000, limit=100),
        Scene(16, 500, 3_000, limit=100),
        Scene(64, 2_000, 12_000, limit=400),
        Scene(16, 500, 3_000, limit=100, after=1.0),
    ),
    "Workers die, and each is replaced after ten seconds": (
        Scene(4, 100, 3_000, deaths=6),
        Scene(16, 500, 15_000, deaths=6),
        Scene(64, 500, 15_000, deaths=30),
        Scene(16, 500, 6_000, limit=200, deaths=6),
    ),
    "A worker waits for the last answers of a partition before it takes the next": (
        Scene(1, 500, 15_000, ahead=False),
        Scene(16, 500, 15_000, ahead=False),
    ),
    "Leaf is slow: half of the answers take more than two seconds": (Scene(16, 500, 15_000, latency=2.0),),
}
# These are simulated again by every run of the tests.
QUICK = (
    Scene(3, 500, 3_000, limit=100),
    Scene(16, 500, 3_000, limit=100, after=1.0),
    Scene(4, 100, 3_000, deaths=6),
)


def kept() -> dict[Scene, Seen]:
    """What came of them when `python -m tests.scale` was last run."""
    found = json.loads(KEPT.read_text())
    return {Scene(**each["scene"]): Seen(**each["seen"]) for each in found}


def keep() -> None:
    """Simulate all of them, which takes some minutes."""
    lines = [
        json.dumps({"scene": asdict(scene), "seen": asdict(simulate(scene))})
        for scenes in SCENES.values()
        for scene in scenes
    ]
    KEPT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
