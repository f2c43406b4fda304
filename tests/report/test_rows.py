import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.entry import Entry
from bulk_onboard.model import Status
from bulk_onboard.report.rows import COLUMNS, merge
from tests.report.pages import grower, manifest_of, print_of

DONE = Entry(
    row=3,
    status="created",
    code="settled-by-asking",
    message="found",
    http_status=200,
    attempts=2,
    credential_id="c-3",
    credential_status="OK",
    health="healthy",
    event_status=201,
    event_at="2026-11-23T15:45:03.000Z",
    intended_at="2026-11-23T15:45:00.500Z",
    started_at="2026-11-23T15:45:01.000Z",
    finished_at="2026-11-23T15:45:02.000Z",
    latency_ms=123.456,
)


def test_the_columns_are_those_of_the_contract_in_its_order() -> None:
    assert ",".join(merge(manifest_of([""]), [], "raven").columns) == (
        "row,leafUserId,provider,status,health,code,message,hint,httpStatus,attempts,credentialId,"
        "credentialStatus,eventStatusCode,eventAt,startedAt,finishedAt,latencyMs,fingerprint,"
        "failingSince,failedRuns,healthCheckedAt"
    )


def test_an_entry_tells_what_the_manifest_does_not_know() -> None:
    line = merge(manifest_of(["", "", ""]), [DONE], "raven").drop(columns="failedRuns").iloc[1].to_dict()
    assert line == {
        "row": 3,
        "leafUserId": grower(3),
        "provider": "raven",
        "status": "created",
        "health": "healthy",
        "code": "settled-by-asking",
        "message": "found",
        "hint": "",
        "httpStatus": 200,
        "attempts": 2,
        "credentialId": "c-3",
        "credentialStatus": "OK",
        "eventStatusCode": 201,
        "eventAt": "2026-11-23T15:45:03.000Z",
        "startedAt": "2026-11-23T15:45:01.000Z",
        "finishedAt": "2026-11-23T15:45:02.000Z",
        "latencyMs": 123.5,
        "fingerprint": print_of(3),
        "failingSince": "",
        "healthCheckedAt": "",
    }


def test_the_grower_and_the_fingerprint_are_those_of_the_file() -> None:
    strange = DONE._replace(leaf_user_id="someone else", fingerprint="other")
    line = merge(manifest_of(["", ""]), [strange], "raven").iloc[1]
    assert (line["leafUserId"], line["fingerprint"]) == (grower(3), print_of(3))


def test_an_intent_without_an_outcome_is_unresolved() -> None:
    intent = Entry(row=2, status=None, intended_at="2026-11-23T15:45:00.500Z")
    line = merge(manifest_of([""]), [intent], "raven").iloc[0]
    assert (line["status"], line["code"]) == ("unresolved", "open-intent")
    assert "nothing is sent twice" in line["hint"]
    assert line["startedAt"] == intent.intended_at


def test_a_row_that_was_to_do_and_has_no_entry_was_not_attempted() -> None:
    line = merge(manifest_of([""]), [], "raven").iloc[0]
    assert (line["status"], line["code"], line["attempts"]) == ("not_attempted", "not-attempted", 0)
    assert line["hint"]


def test_a_row_that_was_never_sent_says_why_and_what_to_do() -> None:
    page = merge(manifest_of(["invalid"], code="missing-refreshToken", message="no token"), [], "raven")
    line = page.iloc[0]
    assert (line["status"], line["message"]) == ("invalid", "no token")
    assert line["hint"] == "Fill in refreshToken and run again."


def test_a_row_the_ledger_knew_keeps_what_the_ledger_said() -> None:
    known = manifest_of(["existing"], code="already-onboarded", health="healthy", credentialId="c-9")
    line = merge(known, [], "raven").iloc[0]
    assert (line["status"], line["health"], line["credentialId"]) == ("existing", "healthy", "c-9")
    assert line["hint"] == ""


def test_an_entry_has_the_last_word_on_a_row_the_ledger_knew() -> None:
    known = manifest_of(["existing"], code="already-onboarded", health="healthy", credentialId="c-9")
    entry = Entry(row=2, status="existing", code="credentials-gone", health="unhealthy")
    line = merge(known, [entry], "raven").iloc[0]
    assert (line["code"], line["health"], line["credentialId"]) == ("credentials-gone", "unhealthy", "")


def test_numbers_stay_numbers_where_some_are_missing() -> None:
    page = merge(manifest_of(["", ""]), [DONE], "raven")
    assert page["httpStatus"].dtype == pd.Int64Dtype()
    assert page["eventStatusCode"].dtype == pd.Int64Dtype()
    assert page["httpStatus"].isna().tolist() == [True, False]
    assert page["attempts"].tolist() == [0, 2]
    assert page["latencyMs"].isna().tolist() == [True, False]


def test_a_page_has_the_same_types_with_and_without_entries() -> None:
    frame = manifest_of(["", ""], region="north")
    pd.testing.assert_series_equal(
        merge(frame, [], "raven").dtypes, merge(frame, [DONE], "raven").dtypes, check_names=False
    )


def test_kept_columns_come_last_under_their_own_headers() -> None:
    page = merge(manifest_of([""], region="north", name="Ann"), [], "raven")
    assert list(page.columns) == [*COLUMNS, "region", "name"]
    assert page["region"].tolist() == ["north"]


def test_a_kept_header_like_one_of_ours_is_told_apart() -> None:
    frame = manifest_of([""]).assign(**{"keep.status": "new", "keep.status (input)": "old"})
    page = merge(frame, [], "raven")
    assert page.columns[-2:].tolist() == ["status (input)", "status (input) (input)"]
    assert page.iloc[0, -2:].tolist() == ["new", "old"]


def test_an_empty_manifest_makes_an_empty_page() -> None:
    page = merge(manifest_of([]), [], "raven")
    assert len(page) == 0
    assert tuple(page.columns) == COLUMNS


statuses = st.lists(st.sampled_from(["", "existing", "invalid"]), max_size=30)
outcome = st.sampled_from([None, *(status.value for status in Status)])


@given(statuses, st.dictionaries(st.integers(0, 29), outcome))
def test_every_row_stays_in_its_place_and_has_a_status(
    known: list[str], outcomes: dict[int, str | None]
) -> None:
    entries = [Entry(at + 2, status) for at, status in sorted(outcomes.items()) if at < len(known)]
    page = merge(manifest_of(known), entries, "raven")
    assert page["row"].tolist() == list(range(2, 2 + len(known)))
    assert page["leafUserId"].tolist() == [grower(row) for row in page["row"]]
    assert set(page["status"]) <= {status.value for status in Status}
    for entry in entries:
        expected = entry.status or "unresolved"
        assert page.loc[page["row"] == entry.row, "status"].item() == expected
    texts = page.drop(columns=["row", "httpStatus", "attempts", "eventStatusCode", "latencyMs", "failedRuns"])
    assert not texts.isna().to_numpy(dtype=bool).any()


def test_gaps_between_the_rows_of_a_file_do_no_harm() -> None:
    frame = manifest_of(["", "", ""])
    frame["row"] = np.array([2, 7, 9])
    page = merge(frame, [Entry(7, "failed"), Entry(8, "created")], "raven")
    assert page["status"].tolist() == ["not_attempted", "failed", "not_attempted"]
