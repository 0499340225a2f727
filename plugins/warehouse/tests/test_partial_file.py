"""Files on their way: nothing wrong is written, nothing written is lost, nothing lost is served."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peerkit_warehouse.content_id import ContentId, ContentKind
from peerkit_warehouse.disk_file import DiskFile
from peerkit_warehouse.holding import Holding
from peerkit_warehouse.merkle_tree import HASH_BYTES, LEAF_BYTES, content_id, hash_leaves, top_of
from peerkit_warehouse.outboard import Outboard
from peerkit_warehouse.partial_file import PartialFile

from peerkit.errors import RemoteProtocolError, StorageError, VerificationFailed

SIZE = 40 * LEAF_BYTES + 17  # three groups, the last one shorter


class Origin:
    """A whole file and its holder."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.data = os.urandom(size)
        (folder / "origin").write_bytes(self.data)
        hashes = hash_leaves(self.data)
        self.outboard = Outboard(folder / "origin.outboard", len(hashes) // HASH_BYTES, top_of(hashes), write=True)
        self.outboard.put(0, 0, hashes)
        assert self.outboard.build() == top_of(hashes)
        self.content = content_id(ContentKind.FILE, size, self.outboard.top)
        self.size = size
        self.holding = Holding(self.content, ContentKind.FILE, size, DiskFile(folder / "origin"), self.outboard)

    def group(self, partial: PartialFile, group: int) -> tuple[bytes, bytes, bytes]:
        run = self.holding.read_range(*partial.leaf_range(group), bytearray())
        return run.siblings, run.leaf_hashes, bytes(run.data)

    def partial(self, folder: Path, top: bytes | None = None) -> PartialFile:
        known = self.outboard.top if top is None else top
        return PartialFile(folder, folder / "outboard", self.content, ContentKind.FILE, self.size, known)


def give(origin: Origin, partial: PartialFile, group: int) -> None:
    partial.put(group, *origin.group(partial, group))
    partial.mark(group)


@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES, LEAF_BYTES + 1, 16 * LEAF_BYTES, 16 * LEAF_BYTES + 1, SIZE])
def test_a_file_fetched_group_by_group_is_the_file(tmp_path: Path, size: int) -> None:
    origin = Origin(tmp_path, size)
    partial = origin.partial(tmp_path)
    for group in reversed(range(partial.groups)):
        give(origin, partial, group)
    partial.finish()
    partial.close()
    assert partial.data_path.read_bytes() == origin.data


def test_a_partial_file_proves_what_it_holds_to_the_next_peer(tmp_path: Path) -> None:
    origin = Origin(tmp_path)
    first = origin.partial(tmp_path, top=b"")
    give(origin, first, 1)
    assert list(first.held) == [(16, 32)]
    holding = Holding(origin.content, ContentKind.FILE, SIZE, first.data, first.outboard, held=first.held)
    second = PartialFile(tmp_path / "..", tmp_path / "second", origin.content, ContentKind.FILE, SIZE, b"")
    try:
        for low, count in ((16, 16), (17, 3), (31, 1)):
            run = holding.read_range(low, count, bytearray())
            assert bytes(run.data) == origin.data[low * LEAF_BYTES : (low + count) * LEAF_BYTES]
        run = holding.read_range(16, 16, bytearray())
        second.put(1, run.siblings, run.leaf_hashes, run.data)
    finally:
        second.close()
        second.remove()


_origins: dict[Path, Origin] = {}


def _cached_origin(folder: Path) -> Origin:
    return _origins.get(folder) or _origins.setdefault(folder, Origin(folder, 17 * LEAF_BYTES + 5))


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_corruption_of_proof_or_data_is_found_and_nothing_is_written(tmp_path: Path, data: st.DataObject) -> None:
    origin = _cached_origin(tmp_path)
    partial = origin.partial(tmp_path)
    try:
        group = data.draw(st.integers(0, partial.groups - 1))
        parts = [bytearray(part) for part in origin.group(partial, group)]
        which = data.draw(st.sampled_from([i for i, part in enumerate(parts) if part]))
        match data.draw(st.sampled_from(["flip", "cut", "grow"])):
            case "flip":
                at = data.draw(st.integers(0, len(parts[which]) - 1))
                parts[which][at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del parts[which][-1]
            case _:
                parts[which] += b"\0"
        with pytest.raises(RemoteProtocolError):
            partial.put(group, bytes(parts[0]), bytes(parts[1]), bytes(parts[2]))
        assert not partial.has_group(group)
        assert partial.data_path.stat().st_size == 0
    finally:
        partial.close()
        partial.remove()


def test_an_interrupted_file_is_gone_on_with(tmp_path: Path) -> None:
    origin = Origin(tmp_path)
    partial = origin.partial(tmp_path)
    give(origin, partial, 2)
    partial.close()
    again = origin.partial(tmp_path)
    assert [again.has_group(g) for g in range(3)] == [False, False, True]
    assert again.check(2, bytearray(16 * LEAF_BYTES))
    assert again.left == 2
    again.close()


@pytest.mark.parametrize("what", ["data", "outboard", "cut"])
def test_what_a_loss_of_power_left_wrong_is_fetched_again(tmp_path: Path, what: str) -> None:
    origin = Origin(tmp_path)
    partial = origin.partial(tmp_path)
    for group in (0, 1):
        give(origin, partial, group)
    partial.close()
    path = tmp_path / "outboard" if what == "outboard" else partial.data_path
    content = bytearray(path.read_bytes())
    if what == "cut":
        del content[20 * LEAF_BYTES :]
    elif what == "data":
        content[20 * LEAF_BYTES] ^= 1
    else:  # every hash but those of the first group's leaves
        content[16 * HASH_BYTES :] = bytes(len(content) - 16 * HASH_BYTES)
    path.write_bytes(content)
    again = origin.partial(tmp_path)
    buffer = bytearray(16 * LEAF_BYTES)
    assert not again.check(1, buffer)
    again.forget(1)
    assert not again.has_group(1)
    assert again.left == 2
    for group in range(3):
        give(origin, again, group)
    again.finish()
    again.close()
    assert again.data_path.read_bytes() == origin.data


def test_an_unfinished_file_cannot_be_finished(tmp_path: Path) -> None:
    origin = Origin(tmp_path)
    partial = origin.partial(tmp_path)
    with pytest.raises(StorageError):
        partial.finish()
    partial.close()


def test_a_file_changed_behind_our_back_is_never_served(tmp_path: Path) -> None:
    origin = Origin(tmp_path)
    path = tmp_path / "origin"
    with path.open("r+b") as file:
        file.seek(5 * LEAF_BYTES)
        file.write(b"x")
    with pytest.raises(VerificationFailed):
        origin.holding.read_range(0, 16, bytearray())
    assert origin.holding.read_range(16, 16, bytearray()).data.nbytes == 16 * LEAF_BYTES  # the rest is whole


def test_a_full_disk_is_a_storage_error_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = Origin(tmp_path)
    partial = origin.partial(tmp_path)
    give(origin, partial, 0)

    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("peerkit_warehouse.disk_file.os.pwritev", full)
        with pytest.raises(StorageError, match="disk is full"):
            partial.put(1, *origin.group(partial, 1))
    assert not partial.has_group(1)
    give(origin, partial, 1)
    assert partial.check(0, bytearray(16 * LEAF_BYTES))
    partial.close()


def test_the_bytes_of_another_content_are_refused(tmp_path: Path) -> None:
    origin = Origin(tmp_path)
    other = PartialFile(tmp_path, tmp_path / "o2", ContentId(bytes(32)), ContentKind.FILE, SIZE, b"")
    with pytest.raises(RemoteProtocolError):
        other.put(0, *origin.group(other, 0))
    other.close()
