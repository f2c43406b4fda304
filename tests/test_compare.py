"""What the ledger knows against what the file says: which rows are done, and which are to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard import manifest
from bulk_onboard.compare import Compared, Keys
from bulk_onboard.compare import compare as compared
from bulk_onboard.growers import HEALTHS, GrowerColumns, Growers, State, growers, nobody
from bulk_onboard.model import IfExists, Status
from bulk_onboard.texts import hex_words, uuid_words

PRINTS = {"fp": "0f" * 16, "old": "01" * 16, "new": "0e" * 16, "": ""}


APP = 5 << 32 | 7
OTHER_APP, OTHER_ENVIRONMENT = 6 << 32 | 7, 6 << 32 | 8


def grower(name: str) -> str:
    """A UUID for a name."""
    return str(uuid5(NAMESPACE_OID, name))


class Found(NamedTuple):
    """What is known of a grower."""

    status: str | None
    code: str = ""
    fingerprint: str = "fp"
    credential_id: str = "c-1"
    health: str = "healthy"
    app: int = APP

    @property
    def state(self) -> State:
        """As the ledger would say it."""
        if self.status in {None, Status.UNRESOLVED}:
            return State.OPEN
        if self.status not in {Status.CREATED, Status.EXISTING}:
            return State.TO_DO
        return {"token-changed": State.TOKEN_CHANGED, "credentials-gone": State.GONE}.get(
            self.code, State.DONE
        )


def all_known(known: Mapping[str, Found]) -> Growers:
    """What the ledger would know."""
    found = growers(
        GrowerColumns(
            [grower(name) for name in known],
            [PRINTS[one.fingerprint] for one in known.values()],
            [one.app for one in known.values()],
            [one.state for one in known.values()],
            [one.health for one in known.values()],
            [one.credential_id for one in known.values()],
        )
    )
    return nobody().with_newer(found)


def compare(frame: pd.DataFrame, known: Mapping[str, Found], if_exists: IfExists) -> pd.DataFrame:
    """The manifest's frame; the line of an open intent has nothing else to say."""
    valid = frame[frame["code"] == ""]
    ids = uuid_words(pa.array([grower(name) for name in valid["leafUserId"]], pa.large_string()))
    prints = hex_words(pa.array([PRINTS[name] for name in valid["fingerprint"]], pa.large_string()))
    keys = Keys(ids, prints, np.full(len(frame), APP, np.uint64))
    found: Compared = compared(frame, keys, all_known(known), if_exists)
    states = {name: one.state for name, one in known.items()}
    is_open = [
        row["code"] == "" and states.get(row["leafUserId"]) == State.OPEN for row in frame.to_dict("records")
    ]
    assert found.open_lines.tolist() == [line for line, each in enumerate(is_open) if each]
    return found.table


def frame(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of grower, fingerprint and code, with a kept column."""
    names, prints, codes = ([row[i] for row in rows] for i in range(3))
    return pd.DataFrame(
        {
            "row": range(2, 2 + len(rows)),
            "leafUserId": names,
            "fingerprint": prints,
            "code": codes,
            "message": ["words" if code else "" for code in codes],
            "keep.name": [f"name of {name}" for name in names],
        }
    )


def only(known: Found | None, if_exists: IfExists = IfExists.SKIP, fingerprint: str = "fp") -> dict[str, str]:
    """One row of one grower, compared."""
    table = compare(frame(("g-1", fingerprint, "")), {"g-1": known} if known else {}, if_exists)
    (line,) = table.to_dict("records")
    return {str(name): value for name, value in line.items()}


@pytest.mark.parametrize("if_exists", IfExists)
@pytest.mark.parametrize("status", [None, *Status])
def test_only_who_is_connected_is_done(status: Status | None, if_exists: IfExists) -> None:
    line = only(Found(status and status.value), if_exists)
    done = status in {Status.CREATED, Status.EXISTING}
    assert line["status"] == ("existing" if done else "")
    assert line["code"] == ("already-onboarded" if done else "")
    assert (line["credentialId"], line["health"]) == (("c-1", "healthy") if done else ("", ""))


def test_who_is_not_known_is_to_do() -> None:
    assert only(None)["status"] == ""


def test_a_new_token_is_told_under_skip_and_done_again_under_overwrite() -> None:
    known = Found("created", fingerprint="old")
    assert (only(known)["status"], only(known)["code"]) == ("existing", "token-changed")
    assert only(known, IfExists.OVERWRITE)["status"] == ""
    assert only(known, IfExists.OVERWRITE)["code"] == ""


@pytest.mark.parametrize("if_exists", [IfExists.REPLACE, IfExists.FAIL])
def test_a_new_token_is_done_again_under_replace_and_refused_after_asking_under_fail(
    if_exists: IfExists,
) -> None:
    for known in (Found("created", fingerprint="old"), Found("existing", code="token-changed")):
        assert (only(known, if_exists)["status"], only(known, if_exists)["code"]) == ("", "")
    assert only(Found("created"), if_exists)["code"] == "already-onboarded"


@pytest.mark.parametrize("if_exists", IfExists)
def test_credentials_that_nobody_has_seen_are_done_unless_they_are_to_be_the_file_s(
    if_exists: IfExists,
) -> None:
    line = only(Found("existing", code="already-connected", fingerprint=""), if_exists)
    again = if_exists in {IfExists.REPLACE, IfExists.OVERWRITE}
    assert (line["status"], line["code"]) == (("", "") if again else ("existing", "already-connected"))


@pytest.mark.parametrize("if_exists", IfExists)
def test_credentials_that_are_gone_are_stored_again_by_who_stores_anew(if_exists: IfExists) -> None:
    line = only(Found("created", code="credentials-gone", health="unhealthy"), if_exists)
    again = if_exists in {IfExists.REPLACE, IfExists.OVERWRITE}
    assert (line["status"], line["code"]) == (("", "") if again else ("existing", "already-onboarded"))


def test_credentials_that_were_never_ours_do_not_pass_for_the_file_s() -> None:
    strange = Found("existing", code="token-changed")
    assert only(strange)["code"] == "token-changed"
    assert only(strange, IfExists.OVERWRITE)["status"] == ""


@pytest.mark.parametrize("if_exists", IfExists)
@pytest.mark.parametrize("fingerprint", ["fp", "new"])
@pytest.mark.parametrize(
    ("app", "code"), [(OTHER_APP, "app-changed"), (OTHER_ENVIRONMENT, "environment-changed")]
)
def test_credentials_of_another_application_are_not_done(
    app: int, code: str, fingerprint: str, if_exists: IfExists
) -> None:
    line = only(Found("created", app=app), if_exists, fingerprint)
    expected = ("existing", code) if if_exists is IfExists.SKIP else ("", "")
    assert (line["status"], line["code"], line["health"]) == (*expected, "")
    assert only(Found("created", app=0), if_exists)["code"] == "already-onboarded"  # not known


def test_an_invalid_row_stays_invalid_whatever_is_known_of_its_grower() -> None:
    table = compare(frame(("g-1", "fp", "placeholder-value")), {"g-1": Found("created")}, IfExists.SKIP)
    assert table.loc[0, ["status", "code", "message"]].tolist() == ["invalid", "placeholder-value", "words"]


rows = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["fp", "new"]), st.sampled_from(["", "", "bad"])),
    min_size=1,
    max_size=6,
)
knowns = st.dictionaries(
    st.sampled_from("abcdx"),
    st.builds(
        Found,
        st.none() | st.sampled_from([status.value for status in Status]),
        st.sampled_from(["", "token-changed"]),
        st.sampled_from(["fp", "old"]),
        st.just("c-1"),
        st.sampled_from(HEALTHS),
        st.sampled_from([0, APP, OTHER_APP, OTHER_ENVIRONMENT]),
    ),
)


@settings(max_examples=25)
@given(rows, knowns, st.sampled_from(IfExists))
def test_every_row_is_kept_in_order_and_judged_by_itself(
    given_rows: list[tuple[str, str, str]], known: dict[str, Found], if_exists: IfExists
) -> None:
    whole = compare(frame(*given_rows), known, if_exists)
    assert list(whole.columns) == [*manifest.COLUMNS, manifest.CHECKED, "keep.name"]
    assert whole["row"].tolist() == list(range(2, 2 + len(given_rows)))
    assert whole["keep.name"].tolist() == [f"name of {row[0]}" for row in given_rows]
    alone = [compare(frame(row), known, if_exists).iloc[0] for row in given_rows]
    for name in ("status", "code", "health", "credentialId"):
        assert whole[name].tolist() == [line[name] for line in alone]


@settings(max_examples=25)
@given(rows, knowns, st.sampled_from(IfExists))
def test_what_is_packed_comes_back(
    given_rows: list[tuple[str, str, str]], known: dict[str, Found], if_exists: IfExists
) -> None:
    table = compare(frame(*given_rows), known, if_exists)
    back = manifest.unpack(manifest.pack(table))
    assert back.to_dict("list") == table.to_dict("list")
