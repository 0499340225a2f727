"""Ids as text: golden values, and every single typing error is caught."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit.errors import UsageError
from peerkit.identity import PeerId
from peerkit.text_form import Kind, decode, encode

RAW = bytes(range(32))
TEXT = encode(Kind.PEER, RAW)


def test_golden_forms() -> None:
    assert TEXT == "paaacaqdaqcqmbyibefawdanbyhraeiscmkbkfqxdamrugy4dupb7tai"
    assert encode(Kind.CONTENT, RAW)[0] == "c"


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Kind))
def test_round_trip(raw: bytes, kind: Kind) -> None:
    text = encode(kind, raw)
    assert len(text) == 56 and text == text.lower() and decode(kind, text) == raw
    assert decode(kind, text.upper().lower()) == raw


def test_every_wrong_letter_is_noticed() -> None:
    for i, letter in enumerate(TEXT):
        wrong = TEXT[:i] + ("b" if letter != "b" else "c") + TEXT[i + 1 :]
        with pytest.raises(UsageError):
            decode(Kind.PEER, wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT[:-1], "55 characters"),
        (TEXT[:-1] + "!", "only the letters"),
        (encode(Kind.CONTENT, RAW), "is a content id, not a peer id"),
        ("", "0 characters"),
        (TEXT[:-1] + "é", "only the letters"),
    ],
)
def test_the_sentence_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        PeerId.parse(text)
