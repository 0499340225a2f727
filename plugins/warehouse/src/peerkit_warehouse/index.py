"""What this node has, in SQLite: one row for each piece of content, and which files belong to which folder.

Rows are written after the files they speak of and deleted before them, so a crash leaves at most files that no row
names; the store sweeps these at its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Self

from peerkit.plugin import Database, DatabaseCursor

from .content_id import ContentId, ContentKind
from .holding import FileMark

MIGRATIONS = (
    """
    CREATE TABLE contents (
        id BLOB PRIMARY KEY, kind INTEGER NOT NULL, size INTEGER NOT NULL, total INTEGER NOT NULL, top BLOB NOT NULL,
        name TEXT NOT NULL, type TEXT NOT NULL, state INTEGER NOT NULL, origin INTEGER NOT NULL,
        path TEXT, mark_size INTEGER, mark_mtime INTEGER, mark_inode INTEGER,
        listed INTEGER NOT NULL, pinned INTEGER NOT NULL, added_at REAL NOT NULL, used_at REAL NOT NULL,
        announced INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX contents_by_origin ON contents (origin, added_at);
    CREATE INDEX contents_by_state ON contents (state);
    CREATE TABLE members (folder BLOB NOT NULL, member BLOB NOT NULL, PRIMARY KEY (folder, member)) WITHOUT ROWID;
    CREATE INDEX members_by_member ON members (member);
    """,
)

_COLUMNS = (
    "id, kind, size, total, top, name, type, state, origin, path, mark_size, mark_mtime, mark_inode, listed, pinned, "
    "added_at, used_at"
)
_MANY = 500  # below SQLite's limit of parameters on every build
_PLACES = ", ".join("?" * len(_COLUMNS.split(",")))


class State(IntEnum):
    """How much of it is here."""

    PARTIAL = 0  # being fetched, or stopped in between
    COMPLETE = 1
    CHANGED = 2  # shared by reference, and the file is another one now, or gone; not served


class Origin(IntEnum):
    """Why it is here."""

    SHARED = 0  # the owner said so
    FETCHED = 1  # got from others; may be collected unless pinned
    MEMBER = 2  # a file of a folder; lives as long as one that names it


@dataclass(frozen=True, slots=True)
class Item:
    """One row.

    Attributes:
        size: of the content; of a folder, its manifest.
        total: what a person calls the size; of a folder, all its files.
        path: where it lies outside the store; `None` in the store.
        mark: by what a change of that file is noticed.
        listed: may be found by search.
        added_at, used_at: unix seconds.
    """

    content: ContentId
    kind: ContentKind
    size: int
    total: int
    top: bytes
    name: str
    type: str
    state: State
    origin: Origin
    path: Path | None
    mark: FileMark | None
    listed: bool
    pinned: bool
    added_at: float
    used_at: float

    @property
    def is_served(self) -> bool:
        return self.state in (State.PARTIAL, State.COMPLETE)

    def with_state(self, state: State) -> Self:
        return replace(self, state=state)

    def row(self) -> tuple[object, ...]:
        mark = (None, None, None) if self.mark is None else (self.mark.size, self.mark.mtime_ns, self.mark.inode)
        return (
            self.content.root,
            int(self.kind),
            self.size,
            self.total,
            self.top,
            self.name,
            self.type,
            int(self.state),
            int(self.origin),
            None if self.path is None else str(self.path),
            mark[0],
            mark[1],
            None if mark[2] is None else str(mark[2]),  # NTFS numbers do not fit SQLite's signed 64 bits
            int(self.listed),
            int(self.pinned),
            self.added_at,
            self.used_at,
        )


def _item(row: Sequence[object]) -> Item:
    id, kind, size, total, top, name, type, state, origin, path, msize, mtime, inode, listed, pinned, added, used = row
    assert isinstance(id, bytes) and isinstance(top, bytes) and isinstance(name, str) and isinstance(type, str)
    assert isinstance(kind, int) and isinstance(size, int) and isinstance(total, int)
    assert isinstance(state, int) and isinstance(origin, int)
    assert isinstance(added, float) and isinstance(used, float)
    mark = FileMark(msize, mtime, int(str(inode))) if isinstance(msize, int) and isinstance(mtime, int) else None
    return Item(
        ContentId(id),
        ContentKind(kind),
        size,
        total,
        top,
        name,
        type,
        State(state),
        Origin(origin),
        Path(path) if isinstance(path, str) else None,
        mark,
        bool(listed),
        bool(pinned),
        added,
        used,
    )


class Index:
    """The table of contents.  Every call is one transaction on the database's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, content: ContentId) -> Item | None:
        def work(cursor: DatabaseCursor) -> Item | None:
            row = cursor.execute(f"SELECT {_COLUMNS} FROM contents WHERE id = ?", (content.root,)).fetchone()
            return None if row is None else _item(row)

        return await self._database.run(work)

    async def get_many(self, contents: Sequence[ContentId]) -> dict[ContentId, Item]:
        """Those of `contents` that are known."""
        roots = [content.root for content in contents]

        def work(cursor: DatabaseCursor) -> dict[ContentId, Item]:
            found = {}
            for start in range(0, len(roots), _MANY):
                some = roots[start : start + _MANY]
                sql = f"SELECT {_COLUMNS} FROM contents WHERE id IN ({', '.join('?' * len(some))})"
                for row in cursor.execute(sql, some).fetchall():
                    item = _item(row)
                    found[item.content] = item
            return found

        return await self._database.run(work)

    async def put(self, items: Sequence[Item], members: Iterable[tuple[ContentId, ContentId]] = ()) -> None:
        """Insert or replace rows; `members` are pairs of folder and file."""
        rows = [item.row() for item in items]
        pairs = [(folder.root, member.root) for folder, member in members]

        def work(cursor: DatabaseCursor) -> None:
            cursor.executemany(f"INSERT OR REPLACE INTO contents ({_COLUMNS}) VALUES ({_PLACES})", rows)
            cursor.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", pairs)

        await self._database.run(work)

    async def select(
        self, where: str, *parameters: object, order: str = "added_at DESC", limit: int = -1
    ) -> list[Item]:
        """Rows by a condition of ours (never text from outside)."""

        def work(cursor: DatabaseCursor) -> list[Item]:
            sql = f"SELECT {_COLUMNS} FROM contents WHERE {where} ORDER BY {order} LIMIT {limit}"
            return [_item(row) for row in cursor.execute(sql, parameters).fetchall()]

        return await self._database.run(work)

    async def members(self, folder: ContentId) -> list[Item]:
        """The rows of a folder's files."""
        return await self.select("id IN (SELECT member FROM members WHERE folder = ?)", folder.root)

    async def delete(self, content: ContentId) -> list[Item]:
        """Delete a row, and those of its files that nothing else names.  Returns the deleted rows.

        A shared or fetched file that is also part of a folder stays as a member of it.
        """

        def work(cursor: DatabaseCursor) -> list[Item]:
            is_member = cursor.execute("SELECT 1 FROM members WHERE member = ? LIMIT 1", (content.root,)).fetchone()
            if is_member is not None:
                sql = "UPDATE contents SET origin = ?, listed = 0, pinned = 0 WHERE id = ?"
                cursor.execute(sql, (int(Origin.MEMBER), content.root))
                return []
            orphans = (
                "id = ?1 OR (origin = ?2 AND id IN (SELECT member FROM members WHERE folder = ?1) AND NOT EXISTS"
                " (SELECT 1 FROM members m WHERE m.member = contents.id AND m.folder != ?1))"
            )
            parameters = (content.root, int(Origin.MEMBER))
            gone = [
                _item(r)
                for r in cursor.execute(f"SELECT {_COLUMNS} FROM contents WHERE {orphans}", parameters).fetchall()
            ]
            cursor.execute("DELETE FROM members WHERE folder = ?", (content.root,))
            cursor.executemany("DELETE FROM contents WHERE id = ?", [(item.content.root,) for item in gone])
            return gone

        return await self._database.run(work)

    async def touch(self, used: Sequence[tuple[ContentId, float]]) -> None:
        """Note when content was last used (unix seconds), for the collector's order."""
        rows = [(at, content.root) for content, at in used]

        def work(cursor: DatabaseCursor) -> None:
            cursor.executemany("UPDATE contents SET used_at = ? WHERE id = ?", rows)

        await self._database.run(work)

    async def set_announced(self, content: ContentId) -> None:
        """Note that the routing plugin took over announcing it."""

        def work(cursor: DatabaseCursor) -> None:
            cursor.execute("UPDATE contents SET announced = 1 WHERE id = ?", (content.root,))

        await self._database.run(work)

    async def store_bytes(self) -> int:
        """Bytes that content in the store takes, what is on its way counted whole (its place is reserved)."""

        def work(cursor: DatabaseCursor) -> int:
            row = cursor.execute("SELECT coalesce(sum(size), 0) FROM contents WHERE path IS NULL").fetchone()
            assert row is not None
            return int(str(row[0]))

        return await self._database.run(work)

    async def roots(self) -> set[str]:
        """Every content's root in hexadecimal."""

        def work(cursor: DatabaseCursor) -> set[str]:
            return {str(row[0]).lower() for row in cursor.execute("SELECT hex(id) FROM contents").fetchall()}

        return await self._database.run(work)

    async def totals(self) -> tuple[int, int, int, int]:
        """(items shared, bytes shared, pieces fetched, pieces incomplete)."""

        def work(cursor: DatabaseCursor) -> tuple[int, int, int, int]:
            sql = (
                "SELECT count(*) FILTER (WHERE origin = 0), coalesce(sum(total) FILTER (WHERE origin = 0), 0),"
                " count(*) FILTER (WHERE origin = 1), count(*) FILTER (WHERE state = 0) FROM contents"
            )
            row = cursor.execute(sql).fetchone()
            assert row is not None
            a, b, c, d = (int(str(v)) for v in row)
            return a, b, c, d

        return await self._database.run(work)
