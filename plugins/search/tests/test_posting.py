"""Postings: what is signed, what is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_search import codec
from peerkit_search.posting import (
    LIFE_S,
    MAX_POSTING_BYTES,
    MAX_TITLE_BYTES,
    PURPOSE,
    clean_title,
    make_posting,
    read_posting,
)
from peerkit_search.terms import MAX_TERMS, term_id

from peerkit.errors import RemoteProtocolError
from peerkit.record import Signed
from plugins.search.tests.corpus import ENGLISH, NETWORK, WALL, identity, posting, signer


def signed(fields: codec.PostingFields, who: int = 1) -> bytes:
    body = codec.encode_posting(fields)
    return Signed(body, identity(who).sign(PURPOSE, NETWORK, body)).to_bytes()


def good() -> codec.PostingFields:
    return codec.PostingFields(
        identity(1).peer_id.raw,
        b"\1" + bytes(range(32)),
        7,
        int((WALL + 3600) * 1000),
        False,
        "a title",
        10,
        "text/plain",
        term_id("title"),
    )


def test_a_posting_comes_back_as_it_was_made() -> None:
    made = posting("Big Buck Bunny.mp4", size_bytes=5, type="video/mp4")
    read = read_posting(made.data, WALL).verify(NETWORK)
    assert read == made
    assert read.title == "Big Buck Bunny.mp4"
    assert set(read.terms) == {term_id(term) for term in ENGLISH.document_terms("Big Buck Bunny.mp4")}


def test_the_bytes_of_a_posting_are_golden() -> None:
    made = posting("bunny", root=b"\7" * 32, sequence=5)
    body = Signed.from_bytes(made.data, 600).body
    assert body.hex() == (
        "0a20" + identity(1).peer_id.raw.hex() + "122101" + "07" * 32 + "1805" + "208088afa8bd31"
        + "3205" + b"bunny".hex() + "38e807" + "420a" + b"text/plain".hex() + "4a0c"
        + term_id("bunni").hex() + term_id("bunny").hex()
    )  # fmt: skip
    assert codec.decode_posting(body).expires_ms == int((WALL + LIFE_S) * 1000)


def test_the_longest_posting_fits_512_bytes() -> None:
    made = make_posting(
        signer(identity(1)),
        identity(1).peer_id,
        b"\xff" * 32,
        "界" * 300,
        2**63,
        "x" * 60,
        [f"word{i}" for i in range(40)],
        2**48,
        4_000_000_000.0,
    )
    assert len(made.data) <= MAX_POSTING_BYTES
    assert len(made.terms) == MAX_TERMS
    assert len(made.title.encode()) <= MAX_TITLE_BYTES
    read_posting(made.data, 4_000_000_000.0).verify(NETWORK)


BAD = {
    "publisher of 31 bytes": {"publisher": bytes(31)},
    "content without algorithm": {"content": bytes(32)},
    "content of an unknown algorithm": {"content": b"\2" + bytes(32)},
    "no terms": {"terms": b""},
    "half a term": {"terms": bytes(7)},
    "25 terms": {"terms": b"".join(term_id(str(i)) for i in range(25))},
    "a term twice": {"terms": term_id("a") * 2},
    "no title": {"title": " "},
    "a title of 145 bytes": {"title": "x" * 145},
    "a control character": {"title": "a\x1b[31mb"},
    "a line break": {"title": "a\nb"},
    "turned text": {"title": "exe.\u202efdp"},
    "a type of 49 characters": {"type": "x" * 49},
    "a type that is not plain": {"type": "téxt"},
    "expired": {"expires_ms": int(WALL * 1000)},
    "25 hours to live": {"expires_ms": int((WALL + 25 * 3600) * 1000)},
    "a tombstone with a title": {"withdrawn": True},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_posting_with_a_bad_field_is_refused(change: dict[str, object]) -> None:
    read_posting(signed(good()), WALL).verify(NETWORK)
    with pytest.raises(RemoteProtocolError):
        read_posting(signed(replace(good(), **change)), WALL)  # type: ignore[arg-type]


def test_a_posting_signed_by_another_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="not signed by its publisher"):
        read_posting(signed(good(), who=2), WALL).verify(NETWORK)


def test_a_posting_of_another_network_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_posting(signed(good()), WALL).verify(bytes(32))


def test_every_flipped_bit_is_noticed() -> None:
    data = signed(good())
    for i in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[i // 8] ^= 1 << i % 8
        with pytest.raises(RemoteProtocolError):
            read_posting(bytes(flipped), WALL).verify(NETWORK)


@given(st.binary(max_size=600))
def test_no_bytes_make_reading_raise_anything_else(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_posting(data, WALL)


@given(st.text(max_size=200))
def test_any_name_makes_a_title_that_others_accept(name: str) -> None:
    title = clean_title("x" + name)
    read_posting(signed(replace(good(), title=title)), WALL).verify(NETWORK)
