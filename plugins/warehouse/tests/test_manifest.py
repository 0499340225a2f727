"""Folders as content: one folder has one id, and no list from outside makes a dangerous path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_warehouse.manifest import MAX_ENTRIES, Entry, Manifest
from peerkit_warehouse.merkle_tree import content_id_of

from peerkit.errors import RemoteProtocolError, UsageError

X = content_id_of(b"x")


def packed(*entries: tuple[int, bytes, int, bytes]) -> bytes:
    out = b"\x01" + len(entries).to_bytes(4, "big")
    for kind, path, size, wire in entries:
        out += bytes((kind,)) + len(path).to_bytes(2, "big") + path + size.to_bytes(8, "big") + wire
    return out


def test_the_bytes_are_golden_and_sorted() -> None:
    manifest = Manifest.of([Entry("b/c", 1, X), Entry("a", 1, X), Entry("b/empty", 0, None)])
    none = b"\x01" + bytes(32)
    assert manifest.to_bytes() == packed(
        (0, b"a", 1, X.to_wire()), (0, b"b/c", 1, X.to_wire()), (1, b"b/empty", 0, none)
    )
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.total_bytes == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02" + packed()[1:],
        packed() + b"x",
        packed((0, b"../x", 1, X.to_wire())),
        packed((0, b"/x", 1, X.to_wire())),
        packed((0, b"a\\b", 1, X.to_wire())),
        packed((0, b"CON", 1, X.to_wire())),
        packed((0, b"x" * 300, 1, X.to_wire())),
        packed((0, b"x" * 2000, 1, X.to_wire())),
        packed((0, b"a\x1b", 1, X.to_wire())),
        packed((0, b"\xff", 1, X.to_wire())),
        packed((0, "cafe\u0301".encode(), 1, X.to_wire())),
        packed((0, b"b", 1, X.to_wire()), (0, b"a", 1, X.to_wire())),
        packed((0, b"a", 1, X.to_wire()), (0, b"a", 1, X.to_wire())),
        packed((0, b"A", 1, X.to_wire()), (0, b"a", 1, X.to_wire())),
        packed((0, b"a", 1, X.to_wire()), (0, b"a/b", 1, X.to_wire())),
        packed((2, b"a", 1, X.to_wire())),
        packed((0, b"a", 1 << 63, X.to_wire())),
        packed((0, b"a", 1, b"\x09" + bytes(32))),
        packed((1, b"a", 1, b"\x01" + bytes(32))),
        packed((0, b"a", 1, X.to_wire()))[:-1],
        b"\x01\xff\xff\xff\xff",
        packed(*((0, b"/".join([b"d"] * 40) + b"%d" % i, 1, X.to_wire()) for i in range(1))),
    ],
)
def test_a_bad_list_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Manifest.from_bytes(data)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(data: bytes) -> None:
    for candidate in (data, packed()[:1] + data, packed((0, data[:40], 1, X.to_wire()))):
        try:
            Manifest.from_bytes(candidate)
        except RemoteProtocolError:
            continue


names = st.text("abcDEF.ä ", min_size=1, max_size=4)


@given(st.lists(st.tuples(names, st.integers(0, 1 << 40)), max_size=8))
def test_what_can_be_shared_can_be_received(files: list[tuple[str, int]]) -> None:
    try:
        manifest = Manifest.of([Entry(name, size, X) for name, size in files])
    except UsageError:
        return
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_folder_of_too_many_files_is_refused() -> None:
    with pytest.raises(UsageError):
        Manifest.of([Entry(f"{i}", 1, X) for i in range(MAX_ENTRIES + 1)])
