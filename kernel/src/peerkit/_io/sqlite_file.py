"""One SQLite database: opened with care, migrated, and used one transaction at a time.  Blocking; see `database` for
the thread around it.

Decisions, with their reasons:

- **WAL, synchronous NORMAL.**  A killed process loses nothing, and a power failure never damages the file; it may lose
  the commits of the last moments.  What plugins keep can be found again (tables, caches) or is checked against the disk
  at start (shared files), so an fsync for every commit (FULL) would buy little and cost each writer milliseconds.
- **`quick_check` at start** finds damaged pages in the time it takes to read the file.  Above 256 MiB it is left out,
  unless damage was met while running (then a mark is left, and the next start does the full `integrity_check`).
- **A damaged file is set aside, never deleted**: `<name>.db.damaged-N`, with its `-wal`.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import StorageError
from ..plugin import DatabaseCursor

T = TypeVar("T")

MAX_CHECKED_BYTES = 256 * 1024 * 1024  # measured: quick_check reads about 1 GB/s from the page cache; start is ≤ 1 s
BUSY_TIMEOUT_S = 5.0  # another program that looks into the file may hold it for a moment
MAX_WAL_BYTES = 64 * 1024 * 1024  # a WAL grown by one long transaction is cut back to this at the next checkpoint

DamageReport = Callable[[Path, Path, str], None]
"""`(database, where the damaged file is now, what was found)`."""


class SqliteFile:
    """An open database.  Use it from one thread at a time.

    Args:
        path: the file, or `None` for a database in memory.
        migrations: SQL that leads from `user_version` i to i + 1.
        on_damage: told when a damaged file was set aside.

    Raises:
        StorageError: the file is of a newer version, in use by another program, cannot be opened or written, or a
            migration failed (the database is then as it was).
    """

    def __init__(self, path: Path | None, migrations: Sequence[str], on_damage: DamageReport | None = None) -> None:
        self._path = path
        self._name = str(path) if path else "the database in memory"
        self._on_damage = on_damage
        self._connection = self._open()
        try:
            self.migrate(migrations)
        except BaseException:
            self._connection.close()
            raise

    def run(self, work: Callable[[DatabaseCursor], T]) -> T:
        """Call `work` in one transaction; roll back when it raises."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled back already
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as exc:
            raise self._translated(exc) from exc
        return result

    def close(self) -> None:
        """Write the WAL back and close.  Idempotent."""
        try:
            self._connection.close()
        except sqlite3.DatabaseError as exc:
            raise self._translated(exc) from exc

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=256)
        mark = self._damage_mark()
        is_new = not self._path.exists()
        for attempt in (1, 2):
            connection: sqlite3.Connection | None = None
            try:
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                connection = sqlite3.connect(
                    self._path,
                    timeout=BUSY_TIMEOUT_S,
                    isolation_level=None,
                    check_same_thread=False,
                    cached_statements=256,
                )
                _configure(connection)
                found = None if is_new else _damage(connection, self._path.stat().st_size, thorough=mark.exists())
            except OSError as exc:
                raise StorageError(f"cannot open the database {self._path}: {exc.strerror or exc}") from exc
            except sqlite3.DatabaseError as exc:
                if connection is not None:
                    connection.close()
                if not _is_damage(exc):
                    raise self._translated(exc) from exc
                found = str(exc)
                connection = None
            if found is None and connection is not None:
                mark.unlink(missing_ok=True)
                return connection
            if connection is not None:
                connection.close()
            if attempt == 2:
                break
            self._set_aside(found or "unreadable")
            is_new = True
        raise StorageError(f"cannot make the database {self._path} anew after the damaged one was set aside")

    def _set_aside(self, found: str) -> None:
        assert self._path is not None
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        try:
            self._path.rename(aside)
            for suffix in ("-wal", "-shm"):
                beside = self._path.with_name(self._path.name + suffix)
                if beside.exists():
                    beside.rename(aside.with_name(aside.name + suffix))
            self._damage_mark().unlink(missing_ok=True)
        except OSError as exc:
            raise StorageError(
                f"the database {self._path} is damaged and cannot be set aside: {exc.strerror or exc}"
            ) from exc
        if self._on_damage is not None:
            self._on_damage(self._path, aside, found)

    def migrate(self, migrations: Sequence[str]) -> None:
        """Bring the database to the version of `migrations`.  Raises `StorageError` when it is newer."""
        version = int(self._execute("PRAGMA user_version").fetchone()[0])
        if version > len(migrations):
            raise StorageError(
                f"{self._name} is of version {version}, newer than version {len(migrations)}, which this program knows;"
                " use the newer program, or move the file away"
            )
        for number in range(version, len(migrations)):
            statements = split_statements(migrations[number])

            def apply(cursor: DatabaseCursor, statements: Sequence[str] = statements, number: int = number) -> None:
                for statement in statements:
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version = {number + 1}")

            self.run(apply)

    def _execute(self, sql: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql)
        except sqlite3.DatabaseError as exc:
            raise self._translated(exc) from exc

    def _damage_mark(self) -> Path:
        assert self._path is not None
        return self._path.with_name(self._path.name + ".check")

    def _translated(self, exc: sqlite3.DatabaseError) -> Exception:
        """`StorageError` for what the disk did; the plugin's own SQL errors stay what they are."""
        primary = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if _is_damage(exc):
            if self._path is not None:
                with contextlib.suppress(OSError):  # without the mark, the next start has quick_check alone
                    self._damage_mark().touch(mode=0o600)
            return StorageError(
                f"{self._name} is damaged ({exc}); it will be set aside and made anew at the next start"
            )
        if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_disk_full(self._path)):
            return StorageError(f"the disk is full: {self._name} cannot grow; nothing of this change was kept")
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StorageError(f"{self._name} is in use by another program for more than {BUSY_TIMEOUT_S:g} s")
        if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
            return StorageError(f"{self._name} cannot be read or written: {exc}")
        return exc


def split_statements(script: str) -> list[str]:
    """The single statements of an SQL script; triggers and strings may hold semicolons.

    `sqlite3.executescript` commits what is open before it begins, so a migration would not be one transaction.
    """
    statements: list[str] = []
    begin = 0
    for position, letter in enumerate(script):
        if letter == ";" and sqlite3.complete_statement(script[begin : position + 1]):
            statements.append(script[begin : position + 1].strip())
            begin = position + 1
    rest = script[begin:].strip()
    return [*statements, rest] if rest else statements


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL_BYTES}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")  # a doctored file must not run functions by its schema


def _damage(connection: sqlite3.Connection, size_bytes: int, thorough: bool) -> str | None:
    """What is wrong with the file, or `None`."""
    if thorough:
        check = "integrity_check"
    elif size_bytes <= MAX_CHECKED_BYTES:
        check = "quick_check"
    else:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return None
    found = str(connection.execute(f"PRAGMA {check}(1)").fetchone()[0])
    return None if found == "ok" else found


def _is_damage(exc: sqlite3.DatabaseError) -> bool:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_disk_full(path: Path | None) -> bool:
    """SQLite says "disk I/O error" when the shared-memory file cannot grow."""
    try:
        return path is not None and shutil.disk_usage(path.parent).free < 65_536
    except OSError:
        return False
