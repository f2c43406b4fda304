"""Lines that were written in another way than they are read are refused, with what to do."""

from __future__ import annotations

import io

import pytest

from bulk_onboard.errors import InputError
from bulk_onboard.readers.inputs import open_source

IDS = [f"0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a1{n}" for n in range(4)]
WHOLE = "every line is quoted as a whole"
NAMES = "one cell more than the header: a row name"
SEPARATED = "the cells are separated by"


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        open_source("-", stdin=io.BytesIO(text.encode()))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'"leafUserId,refreshToken"\n"{IDS[0]},rt-1"\n"{IDS[1]},rt-2"\n', WHOLE),
        (f'"leafUserId;refreshToken"\n"{IDS[0]};rt-1"\n', WHOLE),
        (f'"leafUserId,refreshToken",,\n"{IDS[0]},rt-1",,\n', WHOLE),
        (f'"leafUserId,""refreshToken"""\n"{IDS[0]},""rt-1"""\n', WHOLE),
        (f'leafUserId,refreshToken\n"{IDS[0]},rt-1"\n"{IDS[1]},rt-2"\nTotal: 2\n', WHOLE),
        (f'"leafUserId","refreshToken"\n"1","{IDS[0]}","rt-1"\n"2","{IDS[1]}","rt-2"\n', NAMES),
        (f"leafUserId\trefreshToken\nA\t{IDS[0]}\trt-1\nB\t{IDS[1]}\trt-2\n", NAMES),
        (f"name,leafUserId,refreshToken\n1,Anna,{IDS[0]},rt-1\n", NAMES),
        (f'"leafUserId" "refreshToken"\n"1" "{IDS[0]}" "rt-1"\n', SEPARATED),
        (f"leafUserId^refreshToken\n{IDS[0]}^rt-1\n", SEPARATED),
        (f"leafUserId\x01refreshToken\n{IDS[0]}\x01rt-1\n", SEPARATED),
    ],
)
def test_the_description_names_encoding_and_delimiter(text: str, said: str) -> None:
    message = refused(text)
    assert said in message
    assert "rt-1" not in message


@pytest.mark.parametrize(
    "text",
    [
        f",leafUserId,refreshToken\n1,{IDS[0]},rt-1\n",
        f"leafUserId,refreshToken\n{IDS[0]},rt-1,\n{IDS[1]},rt-2,\n",
        f"leafUserId,refreshToken\n{IDS[0]},rt-1,a note\n{IDS[1]},rt-2,a note\n",
        f'leafUserId,refreshToken\n"{IDS[0]}","rt,1"\n',
        f"leafUserId,refreshToken,note\n{IDS[0]},rt-1\n",
        f"Report: growers\nleafUserId,refreshToken\n{IDS[0]},rt-1\n",
    ],
)
def test_unusual_shapes_are_read(text: str) -> None:
    with open_source("-", stdin=io.BytesIO(text.encode())) as source:
        assert "leafUserId" in source.header
