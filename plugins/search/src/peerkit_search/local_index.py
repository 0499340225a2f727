"""The local index: our own shared content and postings that came with earlier answers, in SQLite FTS5.

It is fed term ids (in hexadecimal), not text, so that it matches exactly what index peers match.  Own documents are the
truth about what was published: sequence and expiry survive a restart, and so does the duty to withdraw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from peerkit.plugin import Database, DatabaseCursor

from .codec import WordIds

MAX_CACHED = 10_000  # postings of others; some 8 MB on disk
MAX_LOCAL_HITS = 200

MIGRATIONS = (
    """
    CREATE TABLE own (
        root BLOB PRIMARY KEY,
        name TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        type TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        expires REAL NOT NULL,
        withdrawn INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE posting (
        id INTEGER PRIMARY KEY,
        publisher BLOB NOT NULL,
        root BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        expires REAL NOT NULL,
        neighbourhood INTEGER NOT NULL,
        is_own INTEGER NOT NULL,
        data BLOB NOT NULL,
        UNIQUE (publisher, root)
    );
    CREATE VIRTUAL TABLE posting_terms USING fts5(terms, content='', contentless_delete=0, columnsize=0, detail=none);
    """,
)


@dataclass(frozen=True, slots=True)
class OwnDocument:
    """One content of ours as it was last published.

    Attributes:
        root: 32 bytes.
        sequence: of its latest posting; 0 before the first.
        expires: unix seconds when that posting ends.
        withdrawn: no longer shared; kept until the tombstone has expired, so that the sequence only grows.
    """

    root: bytes
    name: str
    size_bytes: int
    type: str
    sequence: int = 0
    expires: float = 0.0
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class StoredPosting:
    """A signed posting as the database keeps it."""

    publisher: bytes
    root: bytes
    sequence: int
    expires: float
    neighbourhood: int
    is_own: bool
    data: bytes
    terms: tuple[bytes, ...]
