"""From "that peer" to a session: which addresses, in which order, under which deadline.

Addresses of one peer are tried side by side, each 250 ms after the one before (RFC 8305), or at once when it failed;
the first session wins.  A record gives the peer's handshake key (one round trip); when that handshake fails, the key
may have changed, and the address is tried once more without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .._pool.backoff import Backoff
from ..address import Address
from ..errors import ConnectFailed, PeerUnreachable, TrustDenied
from ..identity import PeerId
from ..platform import Platform
from ..session import Purpose
from ..transport import Pipe, StreamTransport
from ..trust import Action, Question
from .session import RuntimeSession
from .session_context import SessionContext
from .stream_carrier import StreamCarrier

STAGGER_S = 0.25  # RFC 8305 §5: connection attempt delay
MAX_RESOLVED = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to dial.

    Attributes:
        peer_id: `None` when only an address is known (a bootstrap list).
        static_key: from the peer's record, or empty.
    """

    peer_id: PeerId | None
    addresses: tuple[Address, ...]
    static_key: bytes = b""

    @property
    def key(self) -> str:
        """What shared dials go by."""
        return str(self.peer_id) if self.peer_id else str(self.addresses[0])


class DialPlan:
    """Dials targets.  Not here: slots, sharing of dials, what becomes of the session."""

    def __init__(
        self, context: SessionContext, platform: Platform, transports: Mapping[str, StreamTransport], backoff: Backoff
    ) -> None:
        self._context = context
        self._platform = platform
        self._transports = transports
        self._backoff = backoff

    async def dial(self, target: Target, purpose: Purpose) -> RuntimeSession:
        """The first session that any address gives.

        Raises:
            PeerUnreachable: no address led to a session; the reasons name each.
            TrustDenied: the gate refused the peer.
        """
        addresses = [a for a in await self._resolve(target.addresses) if a.scheme in self._transports]
        if not addresses:
            known = ", ".join(str(a.without_peer()) for a in target.addresses)
            raise PeerUnreachable(target.key, [f"no enabled transport for {known}"] if known else ())
        pending: set[asyncio.Task[RuntimeSession]] = set()
        failures: dict[str, str] = {}
        denied: TrustDenied | None = None
        waiting = list(addresses)
        try:
            while waiting or pending:
                if waiting:
                    address = waiting.pop(0)
                    name = f"dial {address.without_peer()}"
                    pending.add(self._context.supervisor.task("kernel", name, self._attempt(address, target, purpose)))
                timeout = STAGGER_S if waiting else None
                done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if isinstance(error, TrustDenied):
                        denied = error
                    elif isinstance(error, ConnectFailed):
                        failures[error.address] = error.reason
                    else:
                        raise error
        finally:
            for task in pending:
                task.cancel()
        if denied is not None:
            raise denied
        raise PeerUnreachable(target.key, [f"{address}: {reason}" for address, reason in failures.items()])

    async def _resolve(self, addresses: Sequence[Address]) -> list[Address]:
        numeric: list[Address] = []
        for address in addresses:
            if address.ip is not None:
                numeric.append(address)
                continue
            try:
                hosts = await self._platform.network.resolve(address.host)
            except ConnectFailed as exc:
                self._context.log.info("cannot resolve", host=address.host, reason=exc.reason)
                continue
            numeric += [replace(address, host=host) for host in hosts[:MAX_RESOLVED]]
        return numeric

    async def _attempt(self, address: Address, target: Target, purpose: Purpose) -> RuntimeSession:
        """One address: through the gate, the transport, the handshake."""
        context = self._context
        expected = target.peer_id or address.peer_id
        key = str(address.without_peer())
        decision = context.gate.check(Question(Action.DIAL, expected, address))
        if not decision.allow:
            raise TrustDenied(Action.DIAL.value, decision.policy, decision.reason)
        wait_s = self._backoff.wait_s(key, context.clock.now())
        if wait_s > 0:
            raise ConnectFailed(key, f"it failed a moment ago and is tried again in {wait_s:.1f} s")
        statics = (target.static_key, b"") if target.static_key else (b"",)
        for i, static_key in enumerate(statics):
            try:
                session = await self._connect(address, expected, static_key or None, purpose)
            except _HandshakeFailed as exc:
                if i + 1 == len(statics):
                    self._backoff.failed(key, context.clock.now())
                    raise ConnectFailed(key, exc.reason) from exc
            except ConnectFailed:
                self._backoff.failed(key, context.clock.now())
                raise
            else:
                self._backoff.succeeded(key)
                return session
        raise AssertionError("unreachable")

    async def _connect(
        self, address: Address, expected: PeerId | None, static_key: bytes | None, purpose: Purpose
    ) -> RuntimeSession:
        ready: asyncio.Future[RuntimeSession] = self._context.loop.create_future()

        def attach(pipe: Pipe) -> StreamCarrier:
            return StreamCarrier(self._context, pipe, purpose, ready, expected, static_key)

        pipe = await self._transports[address.scheme].dial(address, attach)
        try:
            return await ready
        except ConnectFailed as exc:
            raise _HandshakeFailed(exc.address, exc.reason) from exc
        except asyncio.CancelledError:
            pipe.abort()
            if ready.done() and not ready.cancelled() and ready.exception() is None:
                await ready.result().close()
            raise


class _HandshakeFailed(ConnectFailed):
    """The pipe was there, the handshake failed."""

    code = "handshake_failed"
