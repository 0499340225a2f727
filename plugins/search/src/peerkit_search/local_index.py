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
    CREATE VIRTUAL TABLE posting_terms USING fts5(terms, tokenize = 'ascii', detail = none);
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


class LocalIndex:
    """Args:
    database: opened with `MIGRATIONS`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def own(self) -> list[OwnDocument]:
        """All documents, the withdrawn ones too."""
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT root, name, size_bytes, type, sequence, expires, withdrawn FROM own"
            ).fetchall()
        )
        return [
            OwnDocument(_blob(r), str(n), _int(s), str(t), _int(q), _float(e), bool(w)) for r, n, s, t, q, e, w in rows
        ]

    async def save(self, documents: Sequence[OwnDocument], postings: Sequence[StoredPosting]) -> None:
        """Write our documents and their newest postings, in one transaction.  Tombstones leave no posting."""

        def work(db: DatabaseCursor) -> None:
            db.executemany(
                "INSERT OR REPLACE INTO own VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(d.root, d.name, d.size_bytes, d.type, d.sequence, d.expires, int(d.withdrawn)) for d in documents],
            )
            for posting in postings:
                _put(db, posting)

        await self._database.run(work)

    async def forget_own(self, roots: Sequence[bytes]) -> None:
        """Tombstones that have expired."""
        await self._database.run(
            lambda db: _drop(db.executemany("DELETE FROM own WHERE root = ?", [(r,) for r in roots]))
        )

    async def cache(self, postings: Sequence[StoredPosting], now_wall: float) -> None:
        """Keep what a search brought, at most 10,000 of the newest; older ones than ours are left out."""

        def work(db: DatabaseCursor) -> None:
            for posting in postings:
                _put(db, posting)
            over = _int(_one(db, "SELECT count(*) FROM posting WHERE NOT is_own")) - MAX_CACHED
            old = db.execute("SELECT id FROM posting WHERE NOT is_own AND expires <= ?", (now_wall,)).fetchall()
            if over > len(old):
                old = db.execute("SELECT id FROM posting WHERE NOT is_own ORDER BY expires LIMIT ?", (over,)).fetchall()
            _delete(db, [_int(row[0]) for row in old])

        await self._database.run(work)

    async def withdraw(self, publisher: bytes, root: bytes, sequence: int) -> None:
        """A tombstone came: forget the posting it withdraws."""

        def work(db: DatabaseCursor) -> None:
            rows = db.execute(
                "SELECT id FROM posting WHERE publisher = ? AND root = ? AND sequence < ?", (publisher, root, sequence)
            ).fetchall()
            _delete(db, [_int(row[0]) for row in rows])

        await self._database.run(work)

    async def search(self, words: Sequence[WordIds], now_wall: float) -> list[tuple[bytes, int, bool]]:
        """Postings that hold every word: (signed bytes, neighbourhood, is our own), the shortest and newest first."""
        expression = " AND ".join(f"({_any(word)})" for word in words)

        def work(db: DatabaseCursor) -> list[tuple[object, ...]]:
            return db.execute(
                "SELECT p.data, p.neighbourhood, p.is_own FROM posting_terms t JOIN posting p ON p.id = t.rowid"
                " WHERE posting_terms MATCH ? AND (p.is_own OR p.expires > ?)"
                " ORDER BY p.is_own DESC, length(t.terms), p.expires DESC LIMIT ?",
                (expression, now_wall, MAX_LOCAL_HITS),
            ).fetchall()

        return [(_blob(data), _int(place), bool(own)) for data, place, own in await self._database.run(work)]


def _any(word: WordIds) -> str:
    return " OR ".join("(" + " AND ".join(f'"{term.hex()}"' for term in sorted(ids)) + ")" for ids in word)


def _put(db: DatabaseCursor, posting: StoredPosting) -> None:
    row = db.execute(
        "SELECT id, sequence FROM posting WHERE publisher = ? AND root = ?", (posting.publisher, posting.root)
    ).fetchone()
    if row is not None:
        if _int(row[1]) >= posting.sequence:
            return
        _delete(db, [_int(row[0])])
    new = db.execute(
        "INSERT INTO posting (publisher, root, sequence, expires, neighbourhood, is_own, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            posting.publisher,
            posting.root,
            posting.sequence,
            posting.expires,
            posting.neighbourhood,
            int(posting.is_own),
            posting.data,
        ),
    ).lastrowid
    db.execute(
        "INSERT INTO posting_terms (rowid, terms) VALUES (?, ?)", (new, " ".join(term.hex() for term in posting.terms))
    )


def _delete(db: DatabaseCursor, ids: Sequence[int]) -> None:
    db.executemany("DELETE FROM posting WHERE id = ?", [(i,) for i in ids])
    db.executemany("DELETE FROM posting_terms WHERE rowid = ?", [(i,) for i in ids])


def _one(db: DatabaseCursor, sql: str) -> object:
    row = db.execute(sql).fetchone()
    assert row is not None
    return row[0]


def _drop(_: object) -> None:
    return None


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _float(value: object) -> float:
    assert isinstance(value, float | int)
    return float(value)


def _blob(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
