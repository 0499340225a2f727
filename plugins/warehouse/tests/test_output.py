"""Placing content: whole or not at all, only where it was asked for, never through a link."""

import os
from pathlib import Path

import pytest
from peerkit_warehouse.merkle_tree import content_id_of
from peerkit_warehouse.output import Copy, Piece, place_file, place_folder

from peerkit.errors import StorageError, UsageError

ID = content_id_of(b"x")


def copier(data: bytes) -> Copy:
    return lambda fd: assert_written(os.write(fd, data), len(data))


def assert_written(n: int, expected: int) -> None:
    assert n == expected


def piece(path: str, data: bytes = b"x") -> Piece:
    return Piece(path, None, copier(data))


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_file_appears_under_its_name_alone(tmp_path: Path) -> None:
    place_file(tmp_path / "new" / "a", piece("", b"hello"), ID, force=False)
    assert (tmp_path / "new" / "a").read_bytes() == b"hello"
    assert names(tmp_path) == ["new", "new/a"]


def test_the_stores_file_is_linked_and_stays(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"stored")
    place_file(tmp_path / "a", Piece("", data, copier(b"no")), ID, force=False)
    assert (tmp_path / "a").stat().st_ino == data.stat().st_ino


def test_an_existing_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"mine")
    with pytest.raises(StorageError, match="--force"):
        place_file(target, piece(""), ID, force=False)
    assert target.read_bytes() == b"mine"
    place_file(target, piece("", b"new"), ID, force=True)
    assert target.read_bytes() == b"new"


def test_a_link_in_the_files_place_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    link = tmp_path / "out" / "a"
    link.symlink_to(outside)
    with pytest.raises(StorageError):
        place_file(link, piece(""), ID, force=False)
    place_file(link, piece("", b"new"), ID, force=True)
    assert outside.read_bytes() == b"mine"
    assert not link.is_symlink()


def test_a_failed_copy_leaves_nothing(tmp_path: Path) -> None:
    def fail(fd: int) -> None:
        os.write(fd, b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk is full"):
        place_file(tmp_path / "a", Piece("", None, fail), ID, force=False)
    assert names(tmp_path) == []


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    marks = place_folder(tmp_path / "f", [piece("a"), piece("d/e/b", b"bb")], ["empty/one"], ID, force=False)
    assert names(tmp_path / "f") == ["a", "d", "d/e", "d/e/b", "empty", "empty/one"]
    assert [mark.size for mark in marks] == [1, 2]


def test_a_folder_that_fails_half_way_does_not_appear(tmp_path: Path) -> None:
    def fail(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError):
        place_folder(tmp_path / "f", [piece("a"), Piece("b", None, fail)], [], ID, force=False)
    assert not (tmp_path / "f").exists()
    place_folder(tmp_path / "f", [piece("a"), piece("b")], [], ID, force=False)
    assert names(tmp_path) == ["f", "f/a", "f/b"]


def test_a_folder_with_something_in_it_is_written_into_only_with_force(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "mine").write_bytes(b"mine")
    with pytest.raises(StorageError, match="--force"):
        place_folder(tmp_path / "f", [piece("a")], [], ID, force=False)
    place_folder(tmp_path / "f", [piece("a")], [], ID, force=True)
    assert names(tmp_path / "f") == ["a", "mine"]


@pytest.mark.parametrize("force", [False, True])
def test_a_link_inside_a_folder_is_not_followed(tmp_path: Path, force: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "f"
    target.mkdir()
    (target / "d").symlink_to(outside)
    with pytest.raises(StorageError):
        place_folder(target, [piece("d/stolen")], [], ID, force=force)
    assert names(outside) == []


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "..", "a\\b", "C:x"])
def test_no_path_leaves_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises((UsageError, StorageError)):
        place_folder(tmp_path / "in" / "f", [piece(path)], [], ID, force=True)
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


def test_a_placed_file_is_no_more_open_than_its_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    place_file(tmp_path / "a", piece(""), ID, force=False)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    tmp_path.chmod(0o755)
    place_file(tmp_path / "b", piece(""), ID, force=False)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o644
