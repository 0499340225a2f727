"""The data directory: locked, private, of a known layout; and files that are replaced as a whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from peerkit._io.atomic_file import create_atomic, write_atomic
from peerkit._io.data_dir import DataDir
from peerkit.errors import StorageError

HOLDER = """
import sys
from pathlib import Path
from peerkit._io.data_dir import DataDir
with DataDir(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_new_directory_is_private_and_of_the_newest_layout(tmp_path: Path) -> None:
    with DataDir(tmp_path / "a" / "node") as directory:
        assert directory.path.stat().st_mode & 0o777 == 0o700
        assert (directory.path / "version").read_text() == "1\n"
        plugin = directory.plugin_dir("search")
        assert plugin == directory.path / "plugins" / "search"
        assert plugin.stat().st_mode & 0o777 == 0o700
        assert directory.plugin_dir("search") == plugin


def test_an_open_directory_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with DataDir(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_second_node_is_refused_and_told_by_which_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(StorageError, match=rf"used by another node \(process {holder.pid}\)"):
            DataDir(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with DataDir(tmp_path):  # a killed node leaves no stale lock
        pass


def test_two_nodes_of_one_process_cannot_share_it(tmp_path: Path) -> None:
    with DataDir(tmp_path), pytest.raises(StorageError, match=f"process {os.getpid()}"):
        DataDir(tmp_path)
    first = DataDir(tmp_path)
    first.close()
    first.close()
    DataDir(tmp_path).close()


def test_a_newer_layout_is_refused_naming_both_and_the_lock_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("7\n")
    with pytest.raises(StorageError, match="is of layout 7, newer than layout 1"):
        DataDir(tmp_path)
    (tmp_path / "version").write_text("1\n")
    DataDir(tmp_path).close()


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.5", "9" * 100])
def test_a_damaged_version_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "version").write_text(text)
    with pytest.raises(StorageError, match="layout"):
        DataDir(tmp_path)


def test_an_older_layout_is_backed_up_and_migrated(tmp_path: Path) -> None:
    with DataDir(tmp_path) as directory:
        (directory.plugin_dir("pets") / "pets.db").write_bytes(b"old")

    def second(path: Path) -> None:
        (path / "plugins" / "pets" / "pets.db").write_bytes(b"new")

    def third(path: Path) -> None:
        assert (path / "version").read_text() == "2\n"
        (path / "plugins" / "pets").rename(path / "plugins" / "animals")

    with DataDir(tmp_path, (second, third)):
        assert (tmp_path / "plugins" / "animals" / "pets.db").read_bytes() == b"new"
        assert (tmp_path / "version").read_text() == "3\n"
        assert (tmp_path / "backup-layout-1" / "plugins" / "pets" / "pets.db").read_bytes() == b"old"
    with DataDir(tmp_path, (second, third)):
        pass  # not again


def test_a_migration_that_fails_keeps_the_backup_and_is_tried_again(tmp_path: Path) -> None:
    DataDir(tmp_path).close()
    (tmp_path / "peers.db").write_bytes(b"old")

    def fail(path: Path) -> None:
        (path / "peers.db").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="the disk is full"):
        DataDir(tmp_path, (fail,))
    assert (tmp_path / "version").read_text() == "1\n"
    with DataDir(tmp_path, (lambda path: None,)):
        assert (tmp_path / "backup-layout-1" / "peers.db").read_bytes() == b"old"


def test_a_place_that_cannot_be_used_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="cannot use the data directory"):
            DataDir(path)


def test_a_replaced_file_is_the_new_one_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new", 0o640)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["control.json"]


def test_creating_never_replaces(tmp_path: Path) -> None:
    create_atomic(tmp_path / "identity", b"first")
    with pytest.raises(FileExistsError):
        create_atomic(tmp_path / "identity", b"second")
    assert (tmp_path / "identity").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["identity"]


def test_creating_works_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    test_creating_never_replaces(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    """In a process of its own whose files may hold 4 KiB, as a full disk or a quota would stop it."""
    write_atomic(tmp_path / "state", b"old")
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from peerkit._io.atomic_file import write_atomic\n"
        "from peerkit.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomic(Path(sys.argv[1]), bytes(100_000))\n"
        "except StorageError as exc: print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "state")], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write {tmp_path / 'state'}: the file would be larger than this system allows\n"
    assert (tmp_path / "state").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]
