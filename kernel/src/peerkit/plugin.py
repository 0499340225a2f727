"""What a plugin is and all that it gets.

The entry point (group `peerkit`) names a `PluginSpec`.  Per node the kernel validates the settings, calls
`factory(ctx)` once, providers before requirers, and registers the object's hook methods.  The object lives as long as
the node, or until its owner disables or restarts the plugin; then `factory` makes another one.  It may have three async
methods: `start(self)` is awaited before the node listens or dials (deadline 30 s; a failure stops the node),
`run(self)` is supervised and restarted with back-off, and `close(self)` is called at the stop (deadline 5 s), after
`run` was cancelled and before the session pool closes; of a transport's plugin after the sessions were ended, so that
it may wait there until their last words are sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import pluggy
from pydantic import BaseModel, ConfigDict

from .capabilities import Capability
from .clock import Clock, Rng
from .event import Event
from .identity import PeerId
from .network import Network
from .record import Signed
from .session import Pool
from .trust import Decision, Question

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")
E = TypeVar("E", bound=Event)

AnyCapability = Capability[Any]
"""A token of whatever interface; in a spec only the names count."""

hookimpl = pluggy.HookimplMarker("peerkit")
"""Marks a method as the implementation of the hook of its name."""


class Settings(BaseModel):
    """Base of every plugin's settings: frozen, unknown keys forbidden.  Use tuples, defaults, units in the names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=BaseModel)
S_co = TypeVar("S_co", bound=BaseModel, covariant=True)


class Database(Protocol):
    """One SQLite database with one writer thread (WAL); in memory under virtual time.

    Statements of one `run` are one transaction: all or nothing, rolled back when `work` raises.
    """

    async def run(self, work: Callable[[DatabaseCursor], T]) -> T:
        """Call `work(cursor)` on the database's thread and return its result.  Raises `StorageError` when the disk is
        full or the file damaged."""
        ...


class DatabaseCursor(Protocol):
    """The part of `sqlite3.Connection` that plugins use."""

    def execute(self, sql: str, parameters: Sequence[object] = ...) -> Rows: ...
    def executemany(self, sql: str, parameters: Sequence[Sequence[object]]) -> Rows: ...


class Rows(Protocol):
    """The part of `sqlite3.Cursor` that plugins use.  Values are what SQLite gives: int, float, str, bytes, None."""

    @property
    def rowcount(self) -> int: ...
    @property
    def lastrowid(self) -> int | None: ...
    def fetchone(self) -> tuple[object, ...] | None: ...
    def fetchall(self) -> list[tuple[object, ...]]: ...


class PluginContext(Protocol[S_co]):
    """All that a plugin gets of its node.  Valid until the node stops; every call is for the event loop's thread."""

    @property
    def name(self) -> str:
        """The plugin's own name."""
        ...

    @property
    def settings(self) -> S_co: ...
    @property
    def peer_id(self) -> PeerId: ...
    @property
    def network_id(self) -> bytes: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def rng(self) -> Rng: ...
    @property
    def log(self) -> FilteringBoundLogger: ...
    @property
    def data_dir(self) -> Path:
        """The plugin's own folder, 0700, already made."""
        ...

    @property
    def pool(self) -> Pool: ...
    @property
    def network(self) -> Network: ...

    def sign(self, purpose: str, body: bytes) -> Signed:
        """Sign with the node's identity, for `purpose` and this network."""
        ...

    def derive_secret(self, label: bytes, length: int = 32) -> bytes:
        """A secret of this identity; the same after a restart."""
        ...

    async def run_blocking(self, fn: Callable[[], T]) -> T:
        """Run blocking code on the disk threads.  A hop costs 78 µs (measured): give it ≥ 1 MiB or ≥ 50 rows."""
        ...

    async def open_database(self, name: str, migrations: Sequence[str]) -> Database:
        """Open (or make) `name`.db in the data folder.  Migration i (SQL, several statements allowed) leads from
        `user_version` i to i + 1 and must never change once released.  A damaged file is set aside and made anew,
        loudly."""
        ...

    def spawn(self, coro: Coroutine[object, object, None], name: str) -> Callable[[], None]:
        """Run a background task of this plugin; a failure is logged and told as `PluginFailed`.  Returns its cancel.
        It ends with the plugin at the latest.  Raises `LimitExceeded` at 16,384 tasks."""
        ...

    def call_later(self, delay_s: float, fn: Callable[[], None]) -> Callable[[], None]:
        """Call a plain function on the loop; returns its cancel.  Raises `LimitExceeded` at 65,536 timers."""
        ...

    def provide(self, capability: Capability[T], obj: T) -> None:
        """Only in the factory, only what the spec's `provides` names."""
        ...

    def require(self, capability: Capability[T]) -> T:
        """Only what the spec's `requires` names."""
        ...

    def require_all(self, capability: Capability[T]) -> Sequence[T]:
        """All providers, sorted by plugin name; for `many` capabilities."""
        ...

    def find(self, capability: Capability[T]) -> T | None:
        """The provider if there is one; only what `requires` or `uses` names."""
        ...

    def emit(self, event: Event) -> None: ...

    def subscribe(self, event_type: type[E], replay: bool = False) -> AsyncIterator[E]:
        """Events from now on (with `replay` the recent ones first).  A listener that falls 1,000 behind loses the
        oldest.  Raises `LimitExceeded` at 1,024 subscriptions."""
        ...

    def check(self, question: Question) -> Decision:
        """Ask the node's trust gate."""
        ...


class Plugin(Protocol):
    """The shape of a plugin object.  It needs none of these methods; hook methods carry `@hookimpl`."""

    # async def start(self) -> None
    # async def run(self) -> None
    # async def close(self) -> None


@dataclass(frozen=True)  # no slots: `PluginSpec[X](…)` could not be made on Python 3.11
class PluginSpec(Generic[S]):
    """What the entry point names; importing it must be cheap and without effect.

    Attributes:
        settings: the model of `[plugins.<name>]`.
        factory: makes the plugin object of one node; no I/O, no tasks (those belong to `run`).
        provides, requires, uses: capabilities; `uses` are optional.  The distribution repeats their names in the entry
            point groups `peerkit.provides`, `.requires`, `.uses`, so that they are known without import.
    """

    settings: type[S]
    factory: Callable[[PluginContext[S]], object]
    # Any: a capability is invariant in its type, so that `provide` is checked; here only its name counts.
    provides: Sequence[Capability[Any]] = ()
    requires: Sequence[Capability[Any]] = ()
    uses: Sequence[Capability[Any]] = ()
