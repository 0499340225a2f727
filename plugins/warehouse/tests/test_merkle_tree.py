"""The content tree: golden ids, RFC 6962's shape, and range proofs that nothing false passes."""

import hashlib

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_warehouse.content_id import ContentId, ContentKind
from peerkit_warehouse.merkle_tree import (
    HASH_BYTES,
    LEAF_BYTES,
    content_id,
    content_id_of,
    fold_range,
    hash_leaf,
    hash_leaves,
    leaf_count,
    proof_positions,
    top_of,
)

from peerkit.errors import RemoteProtocolError

GOLDEN = {
    0: "30951a15688bb6b2fab42cb7c0369b96cabd6c46b0d3da4e48cf58c1ec286984",
    1: "6d0613917cd03709fd66d242386afcf1e3be464de5c110343c82060407d1f6b2",
    65_536: "a49570d4c55ed96a100b484e90bf3185c11630094607f25c399ea526151bf4cc",
    65_537: "1eec100ae3c252c4906bac2005f7c1871783fb2c0d4fdbbbe72d349af3298a1e",
    3 * 65_536: "c49232f4835e5eb820ff51f859cf587ce97a3e6464ae4b2d404bc3db2aa8eb8d",
}


def content(size: int) -> bytes:
    """Bytes 0, 1, … 250, 0, …: no period of a leaf's length."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", GOLDEN)
def test_content_ids_are_golden(size: int) -> None:
    assert content_id_of(content(size)).root.hex() == GOLDEN[size]


def test_a_folder_has_another_id_than_a_file_of_the_same_bytes() -> None:
    assert content_id_of(b"x", ContentKind.FOLDER) != content_id_of(b"x", ContentKind.FILE)


def test_the_size_is_part_of_the_id() -> None:
    top = hash_leaf(b"x")
    assert content_id(ContentKind.FILE, 1, top) != content_id(ContentKind.FILE, 2, top)


def reference_top(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1 as written: split at the largest power of two below n."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    key = blake3(b"peerkit content v1 node").digest()
    return blake3(reference_top(leaves[:k]) + reference_top(leaves[k:]), key=key).digest()


def leaf_hashes(n: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % i).digest() for i in range(n)]


@pytest.mark.parametrize("n", [*range(1, 70), 127, 128, 129, 1000])
def test_the_shape_is_rfc_6962s(n: int) -> None:
    leaves = leaf_hashes(n)
    assert top_of(b"".join(leaves)) == reference_top(leaves)


def levels(leaves: list[bytes]) -> list[list[bytes]]:
    rows = [leaves]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([reference_top(row[i : i + 2]) for i in range(0, len(row), 2)])
    return rows


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 200))
    first = draw(st.integers(0, n - 1))
    return n, first, draw(st.integers(1, n - first))


def proof_of(n: int, first: int, count: int) -> tuple[bytes, bytes, bytes]:
    rows = levels(leaf_hashes(n))
    siblings = b"".join(rows[level][i] for level, i in proof_positions(n, first, count))
    return rows[-1][0], b"".join(rows[0][first : first + count]), siblings


@given(ranges())
def test_a_range_proof_leads_to_the_top(case: tuple[int, int, int]) -> None:
    n, first, count = case
    top, hashes, siblings = proof_of(n, first, count)
    proof = fold_range(n, first, hashes, siblings)
    assert proof.top == top
    rows = levels(leaf_hashes(n))
    for run in proof.runs:  # whatever it says of the tree is true
        known = rows[run.level][run.first : run.first + len(run.hashes) // HASH_BYTES]
        assert run.hashes == b"".join(known)


@given(ranges())
def test_a_range_proof_is_minimal(case: tuple[int, int, int]) -> None:
    n, first, count = case
    positions = proof_positions(n, first, count)
    assert len(set(positions)) == len(positions) <= 2 * n.bit_length()
    inside = {(0, i) for i in range(first, first + count)}
    rows = levels(leaf_hashes(n))
    for level in range(1, len(rows)):  # nothing that the range or a lower sibling already tells
        below = inside | set(positions)
        inside |= {
            (level, i)
            for i in range(len(rows[level]))
            if (level - 1, 2 * i) in below and ((level - 1, 2 * i + 1) in below or 2 * i + 1 >= len(rows[level - 1]))
        }
    assert not inside & set(positions)
    assert (len(rows) - 1, 0) in inside


@given(ranges(), st.data())
def test_any_changed_bit_of_proof_or_hashes_changes_the_top(case: tuple[int, int, int], data: st.DataObject) -> None:
    n, first, count = case
    top, hashes, siblings = proof_of(n, first, count)
    whole = bytearray(hashes + siblings)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    assert fold_range(n, first, bytes(whole[: len(hashes)]), bytes(whole[len(hashes) :])).top != top


@given(st.integers(1, 100), st.integers(-3, 200), st.binary(max_size=200), st.binary(max_size=200))
def test_no_proof_makes_it_raise_anything_but_a_remote_error(n: int, first: int, hashes: bytes, proof: bytes) -> None:
    try:
        fold_range(n, first, hashes, proof)
    except RemoteProtocolError:
        return
    assert len(hashes) % HASH_BYTES == 0


@given(st.integers(0, 3 * LEAF_BYTES + 5))
@settings(max_examples=20)
def test_the_hashes_of_a_run_are_those_of_its_leaves(size: int) -> None:
    data = content(size)
    leaves = [data[at : at + LEAF_BYTES] for at in range(0, size, LEAF_BYTES)] or [b""]
    assert hash_leaves(data) == b"".join(hash_leaf(leaf) for leaf in leaves)
    assert len(leaves) == leaf_count(size)


@given(st.integers(1, 2 * LEAF_BYTES + 9), st.data())
@settings(max_examples=40)
def test_any_changed_byte_of_the_data_is_found(size: int, data: st.DataObject) -> None:
    good = content(size)
    at = data.draw(st.integers(0, size - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    assert hash_leaves(bad) != hash_leaves(good)
    assert hash_leaves(good[:-1]) != hash_leaves(good)


def test_a_content_id_survives_text_and_wire() -> None:
    one = content_id_of(b"hello")
    assert str(one).startswith("c")
    assert ContentId.parse(str(one)) == one == ContentId.from_wire(one.to_wire())


@pytest.mark.parametrize("wire", [b"", bytes(33), b"\x02" + bytes(32), b"\x01" + bytes(33)])
def test_a_malformed_content_id_is_refused(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ContentId.from_wire(wire)
