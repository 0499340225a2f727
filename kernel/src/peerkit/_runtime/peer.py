"""One member of the pool: its session in use and the protocols that run for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING

from ..identity import PeerId
from ..session import Code, Peer, Session, Stream
from ..transport import Buffer
from .session import RuntimeSession
from .session_context import SessionContext


class RuntimePeer:
    """`on_peer` of every agreed protocol runs once, from `start` to `stop`, also when a better session comes."""

    def __init__(self, context: SessionContext, session: RuntimeSession) -> None:
        self._context = context
        self._session = session
        self._cancels: dict[str, Callable[[], None]] = {}  # by protocol
        self._joined_at = context.clock.now()

    def __repr__(self) -> str:
        return f"<Peer {self.id.short}>"

    @property
    def id(self) -> PeerId:
        return self._session.peer_id

    @property
    def session(self) -> Session:
        return self._session

    @property
    def runtime_session(self) -> RuntimeSession:
        return self._session

    @property
    def protocols(self) -> Mapping[str, str]:
        return self._session.protocols

    @property
    def joined_at(self) -> float:
        return self._joined_at

    def request(self, protocol: str, payload: Buffer, timeout_s: float = 30.0) -> Coroutine[object, object, bytes]:
        return self._session.request(protocol, payload, timeout_s)  # a frame less for each request

    async def send(self, protocol: str, payload: Buffer) -> None:
        await self._session.send(protocol, payload)

    async def open_stream(self, protocol: str) -> Stream:
        return await self._session.open_stream(protocol)

    async def close(self, code: int = Code.NONE, reason: str = "") -> None:
        await self._session.close(code, reason)

    def start(self) -> None:
        """Start every agreed protocol for this peer."""
        for id in self._session.protocols:
            self.start_protocol(id)

    def start_protocol(self, id: str) -> None:
        """Start one that is agreed."""
        spec = self._context.specs[id]
        if spec.on_peer is not None:
            owner, name = self._context.owners.get(id, ""), f"{id} on_peer {self.id.short}"
            self._cancels[id] = self._context.supervisor.spawn(owner, name, self._run(spec.on_peer), True)

    def stop_protocol(self, id: str) -> None:
        """Cancel it.  Idempotent."""
        cancel = self._cancels.pop(id, None)
        if cancel is not None:
            cancel()

    async def _run(self, on_peer: Callable[[Peer], Awaitable[None]]) -> None:
        await on_peer(self)

    def replace(self, session: RuntimeSession) -> None:
        self._session = session

    def stop(self) -> None:
        """The peer left: tell its protocols, by cancelling them."""
        for cancel in self._cancels.values():
            cancel()
        self._cancels.clear()


if TYPE_CHECKING:
    _fits: type[Peer] = RuntimePeer
