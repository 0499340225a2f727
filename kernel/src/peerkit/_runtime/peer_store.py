"""The address book on disk: `peers.db` in the data directory, one of the ways back into the network."""

from __future__ import annotations

from pathlib import Path

from .._pool.address_book import AddressBook
from ..errors import RemoteProtocolError
from ..platform import Platform
from ..plugin import Database, DatabaseCursor
from ..record import PeerRecord

MIGRATIONS = (
    """
    CREATE TABLE peers (peer_id BLOB PRIMARY KEY, record BLOB NOT NULL, reached REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    """,
)


class PeerStore:
    """Loads an address book at the start and writes what changed, also our own record's sequence number."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, platform: Platform, data_dir: Path) -> PeerStore:
        """Raises `StorageError`."""
        return cls(await platform.open_database(data_dir / "peers.db", MIGRATIONS))

    async def load(self, book: AddressBook) -> int:
        """Fill the book; returns the sequence number of our last record (0: none).  Damaged rows are skipped."""

        def read(cursor: DatabaseCursor) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
            rows = cursor.execute("SELECT record, reached FROM peers ORDER BY reached DESC LIMIT 4096").fetchall()
            return rows, cursor.execute("SELECT value FROM meta WHERE name = 'sequence'").fetchall()

        rows, sequence = await self._database.run(read)
        entries = []
        for record, reached in rows:
            try:
                assert isinstance(record, bytes) and isinstance(reached, float)
                entries.append((PeerRecord.from_disk(record), reached))
            except RemoteProtocolError:
                continue
        book.restore(entries)
        return int(str(sequence[0][0])) if sequence else 0

    async def save(self, book: AddressBook, sequence: int) -> None:
        """Write what changed since the last call."""
        changed, book.changed = book.changed, set()
        rows = [(peer.raw, book.snapshot(peer)) for peer in changed]
        keep = [(raw, *entry) for raw, entry in rows if entry is not None]
        drop = [(raw,) for raw, entry in rows if entry is None]

        def write(cursor: DatabaseCursor) -> None:
            cursor.executemany("INSERT OR REPLACE INTO peers VALUES (?, ?, ?)", keep)
            cursor.executemany("DELETE FROM peers WHERE peer_id = ?", drop)
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('sequence', ?)", (sequence,))

        await self._database.run(write)
