"""What one round does, drawn from its seed: the growers, the weather, the settings and the stops. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random

from bulk_onboard.sandbox import Fault, Unknowns, with_answers

# Every secret of a round holds this. Its characters change in URLs and in JSON, so both would show.
MARK = "s0ak+secret/4="
# The customer's application, whose fields are settings.
APP = {"clientId": "soak", "clientSecret": f"app-{MARK}"}

# Shares of requests go to a group of faults and are split among its members.
GROUPS: tuple[tuple[Fault, ...], ...] = (
    (Fault.THROTTLE_SECONDS, Fault.THROTTLE_DATE, Fault.THROTTLE_BARE),
    (Fault.THROTTLE_BARE,),
    (Fault.E500_BEFORE, Fault.E502_BEFORE, Fault.E503_BEFORE, Fault.E504_BEFORE),
    (Fault.E500_AFTER, Fault.E502_AFTER, Fault.E503_AFTER, Fault.E504_AFTER),
    (Fault.CUT_BEFORE,),
    (Fault.CUT_AFTER,),
    (Fault.HANG_BEFORE, Fault.HANG_AFTER),
    (Fault.TRUNCATED,),
    (Fault.HTML, Fault.WRONG_SHAPE),
    (Fault.EMPTY,),
    (Fault.SLOW,),
    (Fault.EXPIRED_LOGIN,),
)
MOST_FAULTS = 0.6
LATE_EVERY = 8
# An empty reply passes for "none" when it comes often enough in a row: with a third of all that is chance.
MOST_EMPTY = 0.1
# Of a run's timeout, together with the time for which Leaf is at work on a POST.
LONGEST_LAG = 0.85


class Fate(Enum):
    """What has to become of a row."""

    STORED = auto()
    UNHEALTHY = auto()
    HELD = auto()
    REJECTED = auto()
    INVALID = auto()
    DUPLICATE = auto()

    @property
    def is_sent(self) -> bool:
        """Whether its token has to be at Leaf in the end."""
        return self in {Fate.STORED, Fate.UNHEALTHY}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file."""

    leaf_user_id: str
    token: str
    fate: Fate


class When(Enum):
    """What a stop waits for: so many seconds, so many POSTs seen, or the folder of the report."""

    SECONDS = auto()
    POSTS = auto()
    REPORT = auto()


@dataclass(frozen=True, slots=True)
class Stop:
    """How one run is ended: ``signals`` in turn, once ``when`` has come and ``after`` seconds on top.

    ``rival``: before that another run wants the same ledger. ``report``: then files are written again.
    ``workers``: so many of a cluster's workers are killed instead, one after the other, and the run goes on.
    """

    when: When
    amount: float
    after: float
    signals: tuple[str, ...]
    rival: bool = False
    report: bool = False
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One round. ``stormy``: runs that may end by themselves before the faults cease.

    ``workers``: of the cluster that it goes on, 0 for none. ``at_work``: seconds for which Leaf is at work on
    a POST before anybody can see what it stored. ``visits``: how often a colleague stores, replaces
    or deletes credentials meanwhile, at most.
    """

    seed: int
    lines: tuple[Line, ...]
    shares: Mapping[Fault, float]
    answers: Mapping[str, str]
    latency: float
    at_work: float
    slow_for: float
    timeout: float
    suffix: str
    options: tuple[str, ...]
    by_password: bool
    stops: tuple[Stop, ...]
    stormy: int
    workers: int = 0
    visits: int = 0

    @property
    def replaces(self) -> bool:
        """Whether credentials of another application are replaced."""
        return "replace" in self.options

    @property
    def unknowns(self) -> Unknowns:
        """The Leaf of this round."""
        return with_answers(Unknowns(), self.answers)


def plan(seed: int, rows: int, stops: int | None = None) -> Plan:
    """The round of a seed: the same seed and size, the same round."""
    draw = Random(f"{seed}/{rows}")
    timeout = draw.choice([0.4, 0.7, 1.0, 3.0, 3.0])
    answers = _answers(draw)
    shares = _shares(draw, answers)
    by_password = Fault.EXPIRED_LOGIN in shares or draw.random() < 0.5
    overwrite = draw.random() < 0.2
    drawn = Plan(
        seed=seed,
        lines=_lines(draw, rows, held=not overwrite),
        shares=shares,
        answers=answers,
        latency=draw.choice([0.0, 0.005, 0.05]),
        at_work=draw.choice([0.0, draw.uniform(0.3, 0.8) * timeout]),
        slow_for=timeout * draw.uniform(0.3, 1.5),
        timeout=timeout,
        suffix=draw.choice(["csv", "parquet"]),
        options=_options(draw, overwrite=overwrite),
        by_password=by_password,
        stops=tuple(_stop(draw, rows) for _ in range(draw.randint(3, 6) if stops is None else stops)),
        stormy=draw.randint(0, 1) if stops is None else 0,
    )
    if stops is not None:
        return drawn
    return _late(drawn) if seed % LATE_EVERY == 0 else _with_company(drawn, overwrite=overwrite)


def _with_company(drawn: Plan, *, overwrite: bool) -> Plan:
    """The same round, now and then on a Leaf that lags, with a colleague, or with `--if-exists replace`.

    The lag ends before absence is believed. Where a mode sends without asking there is no colleague.
    """
    draw = Random(f"{drawn.seed}/{len(drawn.lines)}/company")
    longest = LONGEST_LAG * drawn.timeout - drawn.at_work
    answers = dict(drawn.answers)
    if draw.random() < 0.5 and longest > 0:
        answers["credential_lag"] = f"{draw.uniform(0, longest):.2f}"
    options, visits, chance = drawn.options, 0, draw.random()
    if chance < 0.5 and not overwrite:
        visits = len(drawn.lines) // 4
    elif chance > 0.8 and not overwrite:
        options += ("--if-exists", "replace")
    return replace(drawn, answers=answers, options=options, visits=visits)


def clustered(drawn: Plan, workers: int) -> Plan:
    """The same round on so many workers; most of the stops are deaths of some of them."""
    draw = Random(f"{drawn.seed}/workers")
    stops = tuple(
        replace(stop, workers=draw.randint(1, workers), rival=False) if draw.random() < 0.6 else stop
        for stop in drawn.stops
    )
    return replace(
        drawn,
        suffix="csv",
        options=(*drawn.options, "--cluster", f"local:{workers}"),
        stops=stops,
        workers=workers,
    )


def _late(drawn: Plan) -> Plan:
    """Killed and run again at once, while Leaf is still at work on what was sent and shows nothing of it.

    In every other such round there is a colleague, who may store while a POST is under way.
    """
    return replace(
        drawn,
        shares={},
        latency=0.0,
        timeout=3.0,
        at_work=2.4,
        options=("--rate", "100", "--no-events"),
        answers={**drawn.answers, "rate_limit": "0"},
        stops=(Stop(When.SECONDS, 1.6, 0.0, ("KILL",)),) * 3,
        stormy=0,
        visits=0 if drawn.seed % (2 * LATE_EVERY) else len(drawn.lines) // 4,
    )


def _lines(draw: Random, rows: int, *, held: bool) -> tuple[Line, ...]:
    lines: list[Line] = []
    for number in range(rows):
        lines.append(_line(draw, number, lines, held=held))
    return tuple(lines)


def _line(draw: Random, number: int, before: list[Line], *, held: bool) -> Line:
    leaf_user_id = str(uuid.UUID(int=draw.getrandbits(128), version=4))
    token = f"{MARK}{number:06d}{draw.getrandbits(64):016x}"
    match draw.random():
        case chance if chance < 0.02:
            return Line(leaf_user_id, f"refused-{token}", Fate.REJECTED)
        case chance if chance < 0.04:
            return Line(leaf_user_id, f"expired-{token}", Fate.UNHEALTHY)
        case chance if chance > 0.9 and held:
            return Line(leaf_user_id, token, Fate.HELD)
        case chance if chance < 0.08:
            return Line("not-a-uuid", token, Fate.INVALID)
        case chance if chance < 0.09:
            return Line(leaf_user_id, "", Fate.INVALID)
        case chance if chance < 0.12 and (sent := [line for line in before if line.fate is Fate.STORED]):
            return Line(*_same(draw.choice(sent)), Fate.DUPLICATE)
        case _:
            return Line(leaf_user_id, token, Fate.STORED)


def _same(line: Line) -> tuple[str, str]:
    return line.leaf_user_id, line.token


def _shares(draw: Random, answers: Mapping[str, str]) -> dict[Fault, float]:
    """No broken reply that looks like this Leaf's way of saying "none": nobody could tell them apart."""
    shares: dict[Fault, float] = {}
    for group in draw.sample(GROUPS, draw.randint(2, 6)):
        share = draw.uniform(0.05, 0.3)
        hopeless = Fault.EMPTY in group and answers["get_absent"] == "empty"
        if hopeless or sum(shares.values()) + share > MOST_FAULTS:
            continue
        share = min(share, MOST_EMPTY) if Fault.EMPTY in group else share
        for kind in group:
            shares[kind] = shares.get(kind, 0.0) + share / len(group)
    return shares


def _answers(draw: Random) -> dict[str, str]:
    """What this Leaf is like, where its documentation leaves it open."""
    skew = draw.choice(["0", "0", "-7", "45", "3600"])
    return {
        "post_existing": draw.choice(["refuse", "vague", "conflict", "overwrite", "update", "keep"]),
        "post_status": draw.choice(["200", "201"]),
        "get_absent": draw.choice(["404", "404", "204", "empty", "null", "object"]),
        "events_absent": draw.choice(["404", "list"]),
        "rotation": draw.choice(["never", "before", "later"]),
        "secrets": draw.choice(["echoed", "masked", "omitted"]),
        "timestamps": draw.choice(["shown", "shown", "hidden"]),
        "rate_limit": draw.choice(["0", "0", "100", "40"]),
        "throttle_form": draw.choice(["seconds", "date", "bare"]),
        "throttle_seconds": draw.choice(["0", "0", "0", "1"]),
        "clock_skew": skew,
    }


def _options(draw: Random, *, overwrite: bool) -> tuple[str, ...]:
    options = ["--rate", draw.choice(["0", "60", "150", "400"])]
    options += ["--events-wait", "1"] if draw.random() < 0.6 else ["--no-events"]
    if overwrite:
        options += ["--if-exists", "overwrite"]
    if draw.random() < 0.3:
        options += ["--max-in-flight", str(draw.choice([1, 3, 20]))]
    if draw.random() < 0.4:
        options += ["--format", "csv,parquet,jsonl"]
    return tuple(options)


def _stop(draw: Random, rows: int) -> Stop:
    signals = draw.choice([("KILL",)] * 7 + [("INT",), ("TERM",), ("INT", "INT"), ("TERM", "KILL")])
    after = draw.choice([0.0, draw.uniform(0, 0.05), draw.uniform(0, 0.5)])
    more = draw.random() < 0.2, draw.random() < 0.3
    match draw.random():
        case chance if chance < 0.25:
            return Stop(When.SECONDS, draw.uniform(0.2, 1.5), 0.0, signals)
        case chance if chance < 0.35:
            return Stop(When.SECONDS, draw.uniform(1.0, 6.0), 0.0, signals, *more)
        case chance if chance < 0.85:
            return Stop(When.POSTS, draw.randint(1, max(1, rows // 3)), after, signals, *more)
        case _:
            return Stop(When.REPORT, 0.0, draw.uniform(0, 0.03), signals)
