"""What every session of one node shares with the node: terms, handlers, clock, and whom to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .._session.hello import Terms
from ..address import Address
from ..clock import Clock, Rng
from ..identity import PeerId
from ..limits import TokenBucket
from ..protocol import ProtocolSpec
from ..record import PeerRecord
from ..security import PlaintextWrapper, Security
from .handler_budgets import HandlerBudgets
from .receive_memory import ReceiveMemory
from .supervisor import Supervisor
from .tally import Tally
from .trust_gate import TrustGate

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from .session import RuntimeSession


class SessionOwner(Protocol):
    """The pool, as sessions see it."""

    def handshake_began(self, remote: Address) -> str:
        """An accepted pipe begins its handshake; a non-empty answer refuses it with that reason."""
        ...

    def handshake_ended(self) -> None: ...

    @property
    def has_many_handshakes(self) -> bool:
        """So many that strangers should prove their addresses first."""
        ...

    def session_accepted(self, session: RuntimeSession) -> str:
        """A peer's session is confirmed; a non-empty answer refuses it."""
        ...

    def membership_asked(self, session: RuntimeSession) -> tuple[int, str]:
        """The dialer of a transient session asks to be a member: code 0 when it is one now, else code and reason."""
        ...

    def session_ended(self, session: RuntimeSession, reason: str, by_peer: bool) -> None: ...
    def paths_changed(self, session: RuntimeSession) -> None: ...
    def known_record(self, peer_id: PeerId) -> PeerRecord | None: ...
    def record_received(self, session: RuntimeSession, record: PeerRecord) -> None: ...
    def own_record(self) -> bytes: ...


@dataclass(slots=True)
class Counters:
    """Counted drops and refusals of all sessions of a node."""

    unknown_frames: int = 0
    bad_records: int = 0
    failed_handshakes: int = 0
    broken_rules: int = 0


@dataclass(slots=True)
class SessionContext:
    """Attributes:
    owners: protocol id → the plugin that registered it (for logs and isolation).
    transport_owners: the same by address scheme.
    async_handlers: protocol id → whether its `on_request` and its `on_message` are coroutine functions.
    receive_memory: where peers' bytes wait to be read, for all sessions together.
    handlers: how many run, for all sessions together.
    scratch: one receive buffer for all pipes of the node; it is emptied before the next is read.
    """

    peer_id: PeerId
    network_id: bytes
    loop: asyncio.AbstractEventLoop
    clock: Clock
    rng: Rng
    log: FilteringBoundLogger
    gate: TrustGate
    supervisor: Supervisor
    security: Security
    wrappers: Sequence[PlaintextWrapper]
    terms: Terms
    specs: Mapping[str, ProtocolSpec]
    owners: Mapping[str, str]
    handshake_timeout_s: float
    upload: TokenBucket | None
    download: TokenBucket | None
    owner: SessionOwner
    key_life_s: float = 3600.0
    transport_owners: Mapping[str, str] = field(default_factory=dict)
    receive_memory: ReceiveMemory = field(default_factory=ReceiveMemory)
    handlers: HandlerBudgets = field(default_factory=HandlerBudgets)
    counters: Counters = field(default_factory=Counters)
    scratch: memoryview = field(default_factory=lambda: memoryview(bytearray(16_384)))
    hello_cache: dict[tuple[str, int], bytes] = field(default_factory=dict)
    async_handlers: dict[str, tuple[bool, bool]] = field(default_factory=dict)

    def tally(self, protocol: str) -> Tally:
        """Of who registered the protocol."""
        return self.supervisor.tallies.of(self.owners.get(protocol, ""))

    def transport_tally(self, scheme: str) -> Tally:
        """Of who registered the transport."""
        return self.supervisor.tallies.of(self.transport_owners.get(scheme, ""))

    def grow_scratch(self) -> None:
        """A read filled the whole buffer: use a larger one from now on, up to 512 KiB (four records)."""
        if len(self.scratch) < 524_288:
            self.scratch = memoryview(bytearray(len(self.scratch) * 4))
