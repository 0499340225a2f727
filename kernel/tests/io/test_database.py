"""Databases on a real disk: transactions, migrations, damage, a full disk, two writers; the loop never waits."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.tests.io.conftest import OnLoop
from peerkit._io import sqlite_file
from peerkit._io.sqlite_file import SqliteFile, split_statements
from peerkit._io.system_platform import SystemPlatform
from peerkit.errors import StorageError
from peerkit.plugin import DatabaseCursor

PETS = ("CREATE TABLE pets (name TEXT PRIMARY KEY, photo BLOB)",)


def _names(cursor: DatabaseCursor) -> list[object]:
    return [name for (name,) in cursor.execute("SELECT name FROM pets ORDER BY name").fetchall()]


def _insert(name: str, photo: bytes = b"") -> Callable[[DatabaseCursor], None]:
    def work(cursor: DatabaseCursor) -> None:
        cursor.execute("INSERT INTO pets VALUES (?, ?)", (name, photo))

    return work


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def _until_set(event: threading.Event) -> None:
    """Waits for another thread while the loop turns."""
    while not event.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_a_transaction_is_all_or_nothing(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        platform = SystemPlatform()
        database = await platform.open_database(tmp_path / "pets.db", PETS)
        await database.run(_insert("Ada"))

        def half(cursor: DatabaseCursor) -> None:
            cursor.execute("INSERT INTO pets VALUES ('Bob', NULL)")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await database.run(half)
        with pytest.raises(sqlite3.IntegrityError):  # the plugin's own mistake stays what it is
            await database.run(_insert("Ada"))
        assert await database.run(_names) == ["Ada"]
        await platform.close()
        with pytest.raises(StorageError, match="closed"):
            await database.run(_names)
        again = SystemPlatform()
        database = await again.open_database(tmp_path / "pets.db", PETS)
        assert await database.run(_names) == ["Ada"]
        await again.close()
        await again.close()

    on_loop(main())


def test_the_file_is_for_its_owner_only_and_in_wal_mode(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        platform = SystemPlatform()
        database = await platform.open_database(tmp_path / "pets.db", PETS)
        await database.run(_insert("Ada"))
        assert _modes(tmp_path) == {"pets.db": 0o600, "pets.db-wal": 0o600, "pets.db-shm": 0o600}
        with pytest.raises(StorageError, match="open already"):
            await platform.open_database(tmp_path / "pets.db", PETS)
        await platform.close()
        assert list(_modes(tmp_path)) == ["pets.db"]  # the log was written back

    on_loop(main())


def test_the_loop_turns_while_the_database_works(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        platform = SystemPlatform()
        database = await platform.open_database(tmp_path / "pets.db", PETS)
        entered, leave = threading.Event(), threading.Event()

        def work(_: DatabaseCursor) -> str:
            entered.set()
            assert leave.wait(10)
            return threading.current_thread().name

        running = asyncio.get_running_loop().create_task(database.run(work))
        await _until_set(entered)
        assert not running.done()  # and we are here: the loop turns
        leave.set()
        assert (await running).startswith("peerkit-db-pets")
        await platform.close()

    on_loop(main())


def test_work_goes_on_when_its_caller_is_cancelled(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        platform = SystemPlatform()
        database = await platform.open_database(tmp_path / "pets.db", PETS)
        entered, leave = threading.Event(), threading.Event()

        def work(cursor: DatabaseCursor) -> None:
            entered.set()
            assert leave.wait(10)
            cursor.execute("INSERT INTO pets VALUES ('Ada', NULL)")

        running = asyncio.get_running_loop().create_task(database.run(work))
        await _until_set(entered)
        running.cancel()
        leave.set()
        assert await database.run(_names) == ["Ada"]
        await platform.close()

    on_loop(main())


def test_migrations_run_once_each_and_a_failing_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pets.db"
    SqliteFile(path, PETS).close()
    second = "ALTER TABLE pets ADD COLUMN age INTEGER; INSERT INTO pets VALUES ('a;b', NULL, 3);"
    file = SqliteFile(path, (*PETS, second))
    assert file.run(_names) == ["a;b"]
    file.close()
    with pytest.raises(sqlite3.OperationalError):
        SqliteFile(path, (*PETS, second, "DELETE FROM pets; NONSENSE"))
    file = SqliteFile(path, (*PETS, second))
    assert file.run(_names) == ["a;b"]
    file.close()


def test_a_newer_database_is_refused_naming_both_versions(tmp_path: Path) -> None:
    SqliteFile(tmp_path / "pets.db", (*PETS, "CREATE TABLE b (x)", "CREATE TABLE c (x)")).close()
    with pytest.raises(StorageError, match=r"is of version 3, newer than version 1"):
        SqliteFile(tmp_path / "pets.db", PETS)


def test_statements_are_split_where_sqlite_sees_their_end() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; DELETE FROM c; END;"
    assert split_statements(f"SELECT ';' ; -- a; comment\n{trigger}\nSELECT 2") == [
        "SELECT ';' ;",
        f"-- a; comment\n{trigger}",
        "SELECT 2",
    ]


@given(st.text(alphabet="ab;'\"- \n/*", max_size=40))
def test_splitting_keeps_every_letter(script: str) -> None:
    statements = split_statements(script)
    assert "".join("".join(statements).split()) == "".join(script.split())


def test_concurrent_writers_of_one_process_lose_nothing(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        platform = SystemPlatform()
        database = await platform.open_database(tmp_path / "pets.db", PETS)

        async def write(writer: int) -> None:
            for number in range(50):
                await database.run(_insert(f"{writer}-{number}"))

        async with asyncio.TaskGroup() as group:
            for writer in range(4):
                group.create_task(write(writer))
        assert len(await database.run(_names)) == 200
        await platform.close()

    on_loop(main())


def test_two_writing_processes_wait_for_each_other(tmp_path: Path) -> None:
    """The data directory's lock keeps a second node out; a person with the sqlite3 shell is not kept out."""
    path = tmp_path / "pets.db"
    file = SqliteFile(path, PETS)
    script = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n"
        "for i in range(50): c.execute('INSERT INTO pets VALUES (?, NULL)', (f'other-{i}',))\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(path)])
    for number in range(50):
        file.run(_insert(f"ours-{number}"))
    assert other.wait(30) == 0
    assert len(file.run(_names)) == 100
    file.close()


def test_a_database_that_another_program_holds_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "pets.db"
    file = SqliteFile(path, PETS)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="in use by another program"):
        file.run(_insert("Ada"))
    other.close()
    file.run(_insert("Ada"))
    file.close()


def _filled(path: Path, rows: int = 300) -> None:
    file = SqliteFile(path, PETS)
    file.run(lambda cursor: [_insert(f"pet-{number:04}", bytes(500))(cursor) for number in range(rows)])
    file.close()


@pytest.mark.parametrize("damage", ["header", "page", "cut", "text"])
def test_a_damaged_file_is_set_aside_and_made_anew(on_loop: OnLoop, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "pets.db"
    _filled(path)
    data = bytearray(path.read_bytes())
    match damage:
        case "header":
            data[:16] = b"not a database!!"
        case "page":
            data[3 * 4_096 : 9 * 4_096] = os.urandom(6 * 4_096)
        case "cut":
            del data[len(data) // 2 :]
        case _:
            data = bytearray(b"I was a text file all along\n" * 100)
    path.write_bytes(data)
    told: list[tuple[Path, Path, str]] = []

    async def main() -> None:
        platform = SystemPlatform(on_damage=lambda *what: told.append(what))
        database = await platform.open_database(path, PETS)
        await database.run(_insert("new"))
        assert await database.run(_names) == ["new"]
        await platform.close()

    on_loop(main())
    ((database, aside, found),) = told
    assert (database, aside) == (path, tmp_path / "pets.db.damaged-1")
    assert found
    assert aside.read_bytes() == data


def test_the_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    path = tmp_path / "pets.db"
    for number in (1, 2):
        path.write_bytes(b"garbage %d" % number * 1_000)
        SqliteFile(path, PETS).close()
    assert (tmp_path / "pets.db.damaged-1").read_bytes()[:9] == b"garbage 1"
    assert (tmp_path / "pets.db.damaged-2").read_bytes()[:9] == b"garbage 2"


def test_damage_met_while_running_is_told_and_the_next_start_makes_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "MAX_CHECKED_BYTES", 0)  # as for a file too large to check at every start
    path = tmp_path / "pets.db"
    _filled(path)
    data = bytearray(path.read_bytes())
    data[5 * 4_096 :] = os.urandom(len(data) - 5 * 4_096)
    path.write_bytes(data)
    file = SqliteFile(path, PETS)
    with pytest.raises(StorageError, match=r"is damaged .*made anew at the next start"):
        file.run(lambda cursor: cursor.execute("SELECT sum(length(photo)) FROM pets").fetchall())
    file.close()
    told: list[Path] = []
    file = SqliteFile(path, PETS, lambda _, aside, __: told.append(aside))
    assert file.run(_names) == []
    file.close()
    assert told == [tmp_path / "pets.db.damaged-1"]


def test_an_unusable_place_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open the database"):
        SqliteFile(tmp_path / "missing" / "pets.db", PETS)
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StorageError, match="cannot open the database"):
        SqliteFile(tmp_path / "folder.db", PETS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_one_clear_sentence_and_loses_nothing(on_loop: OnLoop, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))

    async def main() -> None:
        platform = SystemPlatform()
        database = await platform.open_database(small_disk / "pets.db", PETS)
        kept: list[str] = []
        for number in range(1_000):
            try:
                await database.run(_insert(f"pet-{number:04}", bytes(20_000)))
            except StorageError as exc:
                sentence = str(exc)
                break
            kept.append(f"pet-{number:04}")
        else:
            pytest.fail("the disk never got full")
        assert sentence.startswith(f"the disk is full: {small_disk / 'pets.db'} ")
        assert kept
        assert await database.run(_names) == kept
        # the node goes on: once there is room, writing works again
        ballast.unlink()
        await database.run(_insert("zoe", bytes(20_000)))
        assert await database.run(_names) == [*kept, "zoe"]
        await platform.close()

    on_loop(main())


def test_a_disk_that_is_full_at_the_start_is_a_clear_error(small_disk: Path) -> None:
    free = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(bytes(free))
    with pytest.raises(StorageError, match="full"):
        SqliteFile(small_disk / "pets.db", PETS)


def test_a_database_at_its_quota_is_full_too(tmp_path: Path) -> None:
    """The same on machines where no small disk can be mounted."""
    file = SqliteFile(tmp_path / "pets.db", PETS)
    file._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StorageError, match="the disk is full"):
        file.run(_insert("large", bytes(100_000)))
    file.run(_insert("small"))
    assert file.run(_names) == ["small"]
    file.close()


def test_disk_calls_run_at_once_up_to_the_number_of_threads(on_loop: OnLoop) -> None:
    async def main() -> None:
        platform = SystemPlatform(disk_threads=3)
        together = threading.Barrier(3)  # passes only when three are inside at once
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(platform.run_blocking(lambda: together.wait(10)))
        with pytest.raises(ZeroDivisionError):
            await platform.run_blocking(lambda: 1 / 0)
        names = {await platform.run_blocking(lambda: threading.current_thread().name) for _ in range(5)}
        assert all(name.startswith("peerkit-disk") for name in names)
        await platform.close()
        with pytest.raises(StorageError, match="stopped"):
            await platform.run_blocking(lambda: None)

    on_loop(main())


def test_closing_leaves_no_thread(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        before = set(threading.enumerate())
        platform = SystemPlatform()
        await platform.open_database(tmp_path / "pets.db", PETS)
        await platform.run_blocking(lambda: None)
        await platform.close()
        for thread in set(threading.enumerate()) - before:  # a database's thread ends on its own
            thread.join(5)
            assert not thread.is_alive()

    on_loop(main())


def test_the_clock_moves_within_a_turn_of_the_loop(on_loop: OnLoop) -> None:
    async def main() -> None:
        clock = SystemPlatform().clock
        first = clock.now()
        while clock.now() == first:
            pass
        assert abs(clock.now() - asyncio.get_running_loop().time()) < 1
        assert abs(clock.wall() - time.time()) < 1

    on_loop(main())
