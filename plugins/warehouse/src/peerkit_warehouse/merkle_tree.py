"""The tagged Merkle tree under every content id.

    leaf = H_leaf(up to 64 KiB)     node = H_node(left ‖ right)     root = H_root(algorithm ‖ kind ‖ size u64 ‖ top)

H_x is BLAKE3 keyed with BLAKE3("peerkit content v1 x"), so that no leaf can pass for a node, and the size is part of
the root, so that it is known to be true before the first byte.  The shape is RFC 6962 §2.1: pair from the left, an odd
last node rises unchanged.  An empty file has one leaf, H_leaf("").

A *range proof* is the smallest set of sibling hashes that leads from a run of leaf hashes to the top, from the bottom
up, left before right.  Whoever has checked it may check each leaf by itself as it comes.

In and out: bytes.  Not here: files (`outboard.py` keeps the levels on disk, flat, so that memory stays constant).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from blake3 import blake3

from peerkit.errors import RemoteProtocolError
from peerkit.transport import Buffer

from .content_id import BLAKE3_64K, ContentId, ContentKind

LEAF_BYTES = 65_536
HASH_BYTES = 32
MAX_SIZE = 1 << 62  # what a signed 64-bit file offset and SQLite hold; a larger claim is refused before anything else

_ROOT = struct.Struct("!BBQ")
_LEAF_KEY = blake3(b"peerkit content v1 leaf").digest()
_NODE_KEY = blake3(b"peerkit content v1 node").digest()
_ROOT_KEY = blake3(b"peerkit content v1 root").digest()


def leaf_count(size: int) -> int:
    """Leaves of content of `size` bytes; at least one."""
    return max(1, -(-size // LEAF_BYTES))


def leaf_bytes(size: int, index: int) -> int:
    """Length of leaf `index`: 64 KiB but for the last."""
    return min(LEAF_BYTES, size - index * LEAF_BYTES)


def level_widths(leaves: int) -> list[int]:
    """Nodes of each level, from the leaves to the top (1)."""
    widths = [leaves]
    while widths[-1] > 1:
        widths.append((widths[-1] + 1) // 2)
    return widths


def hash_leaf(*pieces: Buffer) -> bytes:
    """The hash of one leaf given in one or several pieces."""
    hasher = blake3(key=_LEAF_KEY)
    for piece in pieces:
        hasher.update(piece)
    return hasher.digest()


def hash_leaves(data: Buffer) -> bytes:
    """The hashes, one after another, of a run of whole leaves (the last may be shorter); one empty leaf for no data."""
    view = memoryview(data)
    if not view.nbytes:
        return hash_leaf()
    hasher = blake3(key=_LEAF_KEY)  # re-used: a new one for each leaf costs 2 µs of the 11 (measured)
    out = []
    for at in range(0, view.nbytes, LEAF_BYTES):
        hasher.reset()
        hasher.update(view[at : at + LEAF_BYTES])
        out.append(hasher.digest())
    return b"".join(out)


def hash_level(hashes: Buffer) -> bytes:
    """The level above a run of hashes that begins at an even index; an odd last one rises unchanged."""
    view = memoryview(hashes)
    hasher = blake3(key=_NODE_KEY)
    out = []
    whole = view.nbytes - view.nbytes % (2 * HASH_BYTES)
    for at in range(0, whole, 2 * HASH_BYTES):
        hasher.reset()
        hasher.update(view[at : at + 2 * HASH_BYTES])
        out.append(hasher.digest())
    out.append(bytes(view[whole:]))
    return b"".join(out)


def top_of(leaf_hashes: Buffer) -> bytes:
    """The top over all leaf hashes; for trees that fit in memory."""
    level = bytes(leaf_hashes)
    while len(level) > HASH_BYTES:
        level = hash_level(level)
    return level


def content_id(kind: ContentKind, size: int, top: bytes) -> ContentId:
    """The id of content whose tree has this top."""
    return ContentId(blake3(_ROOT.pack(BLAKE3_64K, kind, size) + top, key=_ROOT_KEY).digest())


def content_id_of(data: Buffer, kind: ContentKind = ContentKind.FILE) -> ContentId:
    """The id of content in memory."""
    return content_id(kind, len(data), top_of(hash_leaves(data)))


def proof_positions(leaves: int, first: int, count: int) -> list[tuple[int, int]]:
    """(level, index) of the siblings that the range `first .. first + count - 1` needs, in the order of a proof.

    Never more than two for each level.
    """
    positions = []
    low, high, width, level = first, first + count, leaves, 0
    while width > 1:
        if low & 1:
            positions.append((level, low - 1))
        if high & 1 and high < width:
            positions.append((level, high))
        low, high, width, level = low >> 1, (high + 1) >> 1, (width + 1) >> 1, level + 1
    return positions


@dataclass(frozen=True, slots=True)
class ProvenRun:
    """A run of hashes of one level, true if the top is.  `first` is the index of the first of them."""

    level: int
    first: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class RangeProof:
    """What a range's hashes say: the top, and every hash of the tree that is known by it (`runs`, bottom up)."""

    top: bytes
    runs: tuple[ProvenRun, ...]


def fold_range(leaves: int, first: int, leaf_hashes: bytes, siblings: bytes) -> RangeProof:
    """Compute the top from a range's leaf hashes and its proof.  The caller compares it.

    Raises:
        RemoteProtocolError: the range is empty or outside, or the proof has not exactly the hashes that it needs.
    """
    count = len(leaf_hashes) // HASH_BYTES
    if not 0 <= first < first + count <= leaves or len(leaf_hashes) % HASH_BYTES:
        raise RemoteProtocolError(f"leaves {first} to {first + count} are not a range of {leaves}")
    needed = len(proof_positions(leaves, first, count))
    if len(siblings) != needed * HASH_BYTES:
        raise RemoteProtocolError(f"a range proof has {len(siblings)} bytes where {needed * HASH_BYTES} are needed")
    runs = []
    row, low, width, level, at = leaf_hashes, first, leaves, 0, 0
    while width > 1:
        if low & 1:
            row = siblings[at : at + HASH_BYTES] + row
            low, at = low - 1, at + HASH_BYTES
        high = low + len(row) // HASH_BYTES
        if high & 1 and high < width:
            row += siblings[at : at + HASH_BYTES]
            at += HASH_BYTES
        runs.append(ProvenRun(level, low, row))
        row = hash_level(row)
        low, width, level = low >> 1, (width + 1) >> 1, level + 1
    runs.append(ProvenRun(level, 0, row))
    return RangeProof(row, tuple(runs))


def split_hashes(hashes: bytes) -> Iterable[bytes]:
    """The single hashes of a run."""
    return (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
