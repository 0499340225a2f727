"""The bytes of the transfer protocol: golden, and nothing hostile passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_warehouse import transfer_codec as codec
from peerkit_warehouse.content_id import ContentId, ContentKind
from peerkit_warehouse.merkle_tree import MAX_SIZE, content_id, hash_leaf
from peerkit_warehouse.transfer_codec import Answer, Ask, Head, Info, Refusal, Request

from peerkit.errors import RemoteProtocolError

ID = ContentId(bytes(range(32)))
TOP = hash_leaf(b"x")


def test_requests_are_golden() -> None:
    info = Request(Ask.INFO, ID).to_bytes()
    assert info.hex() == "0101" + bytes(range(32)).hex() + "00" * 12
    part = Request(Ask.RANGE, ID, 258, 16).to_bytes()
    assert part.hex() == "0201" + bytes(range(32)).hex() + "0000000000000102" + "00000010"
    assert Request.from_bytes(info) == Request(Ask.INFO, ID)
    assert Request.from_bytes(part) == Request(Ask.RANGE, ID, 258, 16)


def test_answers_are_golden() -> None:
    info = Info(ContentKind.FILE, 200_000, TOP, False, ((0, 1), (2, 4)))
    assert info.to_bytes().hex() == (
        "8100000200000049" + "00" + "0000000000030d40" + TOP.hex()
        + "0000000000000000" + "0000000000000001" + "0000000000000002" + "0000000000000002"
    )  # fmt: skip
    assert codec.range_head(3, 70_000).hex() == "8200000300011170"
    assert codec.error(Refusal.BUSY, "later").hex() == "e003000000000005" + b"later".hex()


def test_an_info_survives_the_wire() -> None:
    info = Info(ContentKind.FOLDER, 300_000, TOP, False, ((0, 2), (3, 5)))
    data = info.to_bytes()
    head = Head.from_bytes(data[: codec.HEAD_BYTES])
    assert Info.from_body(head, data[codec.HEAD_BYTES :], content_id(info.kind, info.size, TOP)) == info


def test_an_info_of_a_wrong_size_kind_or_top_is_refused() -> None:
    true = Info(ContentKind.FILE, 300_000, TOP, True)
    expected = content_id(true.kind, true.size, TOP)
    for false in (
        Info(ContentKind.FILE, 300_001, TOP, True),
        Info(ContentKind.FOLDER, 300_000, TOP, True),
        Info(ContentKind.FILE, 300_000, bytes(32), True),
        Info(ContentKind.FILE, MAX_SIZE + 1, TOP, True),
    ):
        data = false.to_bytes()
        with pytest.raises(RemoteProtocolError):
            Info.from_body(Head.from_bytes(data[:8]), data[8:], expected)


@pytest.mark.parametrize("held", [((2, 4), (0, 1)), ((0, 2), (1, 3)), ((0, 2), (2, 3)), ((4, 6),), ((1, 1),)])
def test_ranges_that_are_not_sorted_or_lie_outside_are_refused(held: tuple[tuple[int, int], ...]) -> None:
    size = 5 * 65_536
    body = bytes([0]) + size.to_bytes(8, "big") + TOP
    body += b"".join(a.to_bytes(8, "big") + (b - a).to_bytes(8, "big") for a, b in held)
    with pytest.raises(RemoteProtocolError):
        Info.from_body(Head(Answer.INFO, 0, len(held), len(body)), body, content_id(ContentKind.FILE, size, TOP))


def test_a_holder_of_many_ranges_tells_the_longest() -> None:
    held = tuple((i * 10, i * 10 + 1 + i % 3) for i in range(1000))
    data = Info(ContentKind.FILE, 10_000 * 65_536, TOP, False, held).to_bytes()
    head = Head.from_bytes(data[:8])
    told = Info.from_body(head, data[8:], content_id(ContentKind.FILE, 10_000 * 65_536, TOP)).held
    assert len(told) == codec.MAX_RANGES
    assert set(told) <= set(held)
    assert sum(b - a for a, b in told) > 512 * 2


@pytest.mark.parametrize(
    ("ask", "first", "leaves"),
    [(2, 0, 0), (2, 0, 65), (2, 1 << 60, 1), (1, 1, 0), (1, 0, 1), (3, 0, 1), (0, 0, 0)],
)
def test_an_impossible_request_is_refused(ask: int, first: int, leaves: int) -> None:
    data = bytes((ask,)) + ID.to_wire() + first.to_bytes(8, "big") + leaves.to_bytes(4, "big")
    with pytest.raises(RemoteProtocolError):
        Request.from_bytes(data)


@pytest.mark.parametrize(
    "head",
    [
        b"\x81\x00\x02\x01" + (41 + 513 * 16).to_bytes(4, "big"),  # too many ranges
        b"\x81\x00\x00\x01" + (41).to_bytes(4, "big"),  # count and length differ
        b"\x81\x02\x00\x00" + (41).to_bytes(4, "big"),
        b"\x82\x00\x00\x81" + (1).to_bytes(4, "big"),  # too many siblings
        b"\x82\x00\x00\x00" + (64 * 65_536 + 1).to_bytes(4, "big"),
        b"\x82\x01\x00\x00" + (1).to_bytes(4, "big"),
        b"\xe0\x01\x00\x00" + (301).to_bytes(4, "big"),
        b"\xe0\x01\x00\x01" + (1).to_bytes(4, "big"),
        b"\x00" * 8,
    ],
)
def test_a_head_with_a_length_that_its_type_may_not_have_is_refused(head: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Head.from_bytes(head)


@given(st.binary(max_size=80), st.binary(min_size=32, max_size=32))
def test_no_bytes_make_the_parsers_raise_anything_else(data: bytes, root: bytes) -> None:
    for parse in (Request.from_bytes, Head.from_bytes):
        try:
            parse(data)
        except RemoteProtocolError:
            continue
    try:
        Info.from_body(Head(Answer.INFO, 0, 0, len(data)), data, ContentId(root))
    except RemoteProtocolError:
        return


def test_a_sentence_from_outside_is_harmless_to_print() -> None:
    assert codec.sentence_of(b"\x1b[31mred\xff\n").isprintable()
