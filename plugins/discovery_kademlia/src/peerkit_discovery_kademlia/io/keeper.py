"""What survives a restart: the table with its anchors, the keys we provide, the values we published."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from peerkit.errors import RemoteProtocolError
from peerkit.plugin import Database, DatabaseCursor, PluginContext
from peerkit.record import PeerRecord

from ..routing_table import RoutingTable
from ..settings import KademliaSettings

MIGRATIONS = (
    """
    CREATE TABLE nodes (peer_id BLOB PRIMARY KEY, record BLOB NOT NULL, rank INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE provided (key BLOB PRIMARY KEY, told REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE published (
        namespace INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, told REAL NOT NULL,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID;
    """,
)
MAX_SAVED = 640  # 32 × k


@dataclass(frozen=True, slots=True)
class Published:
    """A value of ours that others keep; `told_at` is in unix seconds, 0 = never."""

    namespace: int
    key: bytes
    value: bytes
    told_at: float


@dataclass(slots=True)
class Saved:
    """Attributes:
    nodes: peers of the last run, anchors (the oldest entries) first.
    provided: key → when it was last told, unix seconds, 0 = never.
    """

    nodes: list[PeerRecord] = field(default_factory=list)
    provided: dict[bytes, float] = field(default_factory=dict)
    published: list[Published] = field(default_factory=list)


class Keeper:
    """One database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version = -1

    @classmethod
    async def open(cls, ctx: PluginContext[KademliaSettings]) -> "Keeper":
        """Raises `StorageError`."""
        return cls(await ctx.open_database("kademlia", MIGRATIONS))

    async def load(self, now_wall: float) -> Saved:
        def read(cursor: DatabaseCursor) -> tuple[list[tuple[object, ...]], ...]:
            return (
                cursor.execute("SELECT record FROM nodes ORDER BY rank").fetchall(),
                cursor.execute("SELECT key, told FROM provided").fetchall(),
                cursor.execute("SELECT namespace, key, value, told FROM published").fetchall(),
            )

        nodes, provided, published = await self._database.run(read)
        saved = Saved()
        for (data,) in nodes:
            try:
                assert isinstance(data, bytes)
                record = PeerRecord.from_disk(data)
            except RemoteProtocolError:
                continue  # damaged; the others may still lead back into the network
            if record.expires_at > now_wall:
                saved.nodes.append(record)
        for key, told in provided:
            assert isinstance(key, bytes) and isinstance(told, float)
            saved.provided[key] = told
        for namespace, key, value, told in published:
            assert isinstance(namespace, int) and isinstance(key, bytes)
            assert isinstance(value, bytes) and isinstance(told, float)
            saved.published.append(Published(namespace, key, value, told))
        return saved

    async def save_table(self, table: RoutingTable) -> None:
        """Write the table when it changed; the entries that have been live longest are the first to be dialled again:
        an attacker who came yesterday does not decide whom we meet after a restart."""
        if table.version == self._version:
            return
        version = table.version
        oldest = sorted(table, key=lambda entry: entry.joined_at)[:MAX_SAVED]
        rows = [(entry.record.peer_id.raw, entry.wire, rank) for rank, entry in enumerate(oldest)]

        def write(cursor: DatabaseCursor) -> None:
            cursor.execute("DELETE FROM nodes")
            cursor.executemany("INSERT INTO nodes VALUES (?, ?, ?)", rows)

        await self._database.run(write)
        self._version = version

    async def save_provided(self, keys: Sequence[bytes], told_at: float) -> None:
        rows = [(key, told_at) for key in keys]
        await self._write("INSERT OR REPLACE INTO provided VALUES (?, ?)", rows)

    async def forget_provided(self, key: bytes) -> None:
        await self._write("DELETE FROM provided WHERE key = ?", [(key,)])

    async def save_published(self, item: Published) -> None:
        row = (item.namespace, item.key, item.value, item.told_at)
        await self._write("INSERT OR REPLACE INTO published VALUES (?, ?, ?, ?)", [row])

    async def _write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        def write(cursor: DatabaseCursor) -> None:
            cursor.executemany(sql, rows)

        await self._database.run(write)
