"""From "that peer" to a session: which addresses, in which order, under which deadline.

Addresses of one peer are tried side by side, each 250 ms after the one before (RFC 8305), or at once when it failed.
Each further transport, in the order of their preferences, begins a row of its own 250 ms after the one before it.  The
first session wins; the rest leaves nothing behind.  A record gives the peer's handshake key (one round trip); when that
handshake fails on a pipe, the key may have changed, and the address is tried once more without it (a datagram transport
does that by itself).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .._pool.backoff import Backoff
from ..address import Address
from ..datagram import CircuitTransport, DatagramTransport
from ..errors import ConnectFailed, PeerUnreachable, PluginError, TrustDenied
from ..identity import PeerId
from ..platform import Platform
from ..session import Purpose
from ..transport import DatagramEndpoint, StreamTransport
from ..trust import Action, Question
from .dial_attempt import Dial, Overtaken, RuntimeAttempt
from .endpoints import Endpoints
from .plugin_call import call_plugin, call_plugin_async
from .session import RuntimeSession
from .session_context import SessionContext
from .stream_carrier import dial_pipe

STAGGER_S = 0.25  # RFC 8305 §5: connection attempt delay
MAX_RESOLVED = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to dial.

    Attributes:
        peer_id: `None` when only an address is known (a bootstrap list).
        static_key: from the peer's record, or empty.
        is_bare: only the id was given, so that other addresses than these will do as well.
    """

    peer_id: PeerId | None
    addresses: tuple[Address, ...]
    static_key: bytes = b""
    is_bare: bool = False

    @property
    def key(self) -> str:
        """What shared dials go by."""
        return str(self.peer_id) if self.peer_id else str(self.addresses[0])


class DialPlan:
    """Dials targets.  Not here: slots, sharing of dials, what becomes of the session.

    Attributes:
        streams: by scheme.
    """

    def __init__(
        self,
        context: SessionContext,
        platform: Platform,
        transports: Mapping[str, StreamTransport],
        datagram_transports: Mapping[str, DatagramTransport],
        circuit_transports: Mapping[str, CircuitTransport],
        endpoints: Endpoints,
        backoff: Backoff,
    ) -> None:
        self._context = context
        self._platform = platform
        self.streams = transports
        self._datagrams = datagram_transports
        self._circuits = circuit_transports
        self._preferences = {
            **{scheme: transport.preference for scheme, transport in transports.items()},
            **{scheme: transport.preference for scheme, transport in datagram_transports.items()},
            **{scheme: transport.preference for scheme, transport in circuit_transports.items()},
        }
        self._endpoints = endpoints
        self._backoff = backoff

    async def dial(self, target: Target, purpose: Purpose, is_probe: bool = False) -> RuntimeSession:
        """The first session that any address gives.

        Args:
            is_probe: neither ask nor tell the back-off.

        Raises:
            PeerUnreachable: no address led to a session; the reasons name each.
            LimitExceeded: the peer answered that it has no place for a session of this purpose.
            TrustDenied: the gate refused the peer.
        """
        waiting = self._rounds(await self._resolve(target.addresses))
        if not waiting:
            known = ", ".join(str(a.without_peer()) for a in target.addresses)
            raise PeerUnreachable(target.key, [f"no enabled transport for {known}"] if known else ())
        dial = Dial(purpose, is_probe)
        if len(waiting) == 1 and len(waiting[0]) == 1:
            return await self._only(waiting[0][0], target, dial)
        pending: list[asyncio.Task[RuntimeSession]] = []
        failures: dict[str, str] = {}
        denied: TrustDenied | None = None
        try:
            while waiting or pending:
                for address in waiting.pop(0) if waiting else ():
                    name = f"dial {address.without_peer()}"
                    pending.append(self._context.supervisor.task("kernel", name, self._attempt(address, target, dial)))
                timeout = STAGGER_S if waiting else None
                await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                done, pending = [t for t in pending if t.done()], [t for t in pending if not t.done()]
                for task in done:
                    error = task.exception()
                    if error is None:
                        return dial.give(task.result())
                    if isinstance(error, TrustDenied):
                        denied = error
                    elif isinstance(error, ConnectFailed):
                        failures[error.address] = error.reason
                    else:
                        raise error
        finally:
            for task in pending:
                task.cancel()
            dial.close()
        if denied is not None:
            raise denied
        raise PeerUnreachable(target.key, [f"{address}: {reason}" for address, reason in failures.items()])

    async def _only(self, address: Address, target: Target, dial: Dial) -> RuntimeSession:
        """As `dial`, of one address: most peers have one, and it needs no task of its own."""
        try:
            return dial.give(await self._attempt(address, target, dial))
        except ConnectFailed as exc:
            raise PeerUnreachable(target.key, [f"{exc.address}: {exc.reason}"]) from exc
        finally:
            dial.close()

    def _rounds(self, addresses: Sequence[Address]) -> list[list[Address]]:
        """What to begin together, one round 250 ms after the other: the second address of the preferred transport comes
        with the first one of the next transport, and so on."""
        rows: dict[int, list[Address]] = {}
        for address in addresses:
            if address.scheme in self._preferences:
                rows.setdefault(-self._preferences[address.scheme], []).append(address)
        rounds: list[list[Address]] = []
        for i, preference in enumerate(sorted(rows)):
            for j, address in enumerate(rows[preference]):
                rounds += [[] for _ in range(i + j + 1 - len(rounds))]
                rounds[i + j].append(address)
        return rounds

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

    async def _attempt(self, address: Address, target: Target, dial: Dial) -> RuntimeSession:
        """One address: through the gate, the transport, the handshake."""
        context = self._context
        expected = target.peer_id or address.peer_id
        key = str(address.without_peer())
        if address.via is not None and expected is not None:
            key = str(address.with_peer(expected))  # behind one relay there are many
        decision = context.gate.check(Question(Action.DIAL, expected, address))
        if not decision.allow:
            raise TrustDenied(Action.DIAL.value, decision.policy, decision.reason)
        wait_s = self._backoff.wait_s(key, context.clock.now())
        if wait_s > 0 and not dial.is_probe:
            raise ConnectFailed(key, f"it failed a moment ago and is tried again in {wait_s:.1f} s")
        try:
            if address.scheme in self._datagrams:
                attempt = RuntimeAttempt(context, dial, address, expected, target.static_key)
                endpoint = await self._endpoints.towards(address)
                session = await self._over_datagrams(address.scheme, address, endpoint, attempt)
            elif address.scheme in self._circuits:
                session = await self._over_circuit(dial, address, expected, target.static_key)
            else:
                session = await self._over_pipe(dial, address, expected, target.static_key)
        except Overtaken:
            raise
        except (ConnectFailed, PluginError) as exc:
            if not dial.is_probe:
                self._backoff.failed(key, context.clock.now())
            if isinstance(exc, PluginError):  # of the transport or the handshake; another address may do
                raise ConnectFailed(key, str(exc)) from exc
            raise
        self._backoff.succeeded(key)
        return session

    async def _over_datagrams(
        self, scheme: str, address: Address, endpoint: DatagramEndpoint, attempt: RuntimeAttempt
    ) -> RuntimeSession:
        tally, transport = self._context.transport_tally(scheme), self._datagrams[scheme]
        try:
            call_plugin(tally, f"dial of {scheme}", transport.dial, address, endpoint, attempt)
        except PluginError:
            attempt.cancel()
            raise
        return await attempt.session()

    async def _over_circuit(
        self, dial: Dial, address: Address, expected: PeerId | None, static_key: bytes
    ) -> RuntimeSession:
        if expected is None:
            raise ConnectFailed(str(address), "the address does not say which peer is meant behind the relay")
        if not self._datagrams:
            raise ConnectFailed(str(address.without_peer()), "no enabled transport of datagrams could use a circuit")
        scheme = max(self._datagrams, key=lambda scheme: self._datagrams[scheme].preference)
        tally, circuits = self._context.transport_tally(address.scheme), self._circuits[address.scheme]
        endpoint = await call_plugin_async(
            tally, f"open of {address.scheme}", circuits.open, address.with_peer(expected)
        )
        try:
            self._endpoints.adopt(endpoint)
            attempt = RuntimeAttempt(self._context, dial, address, expected, static_key)
            return await self._over_datagrams(scheme, address, endpoint, attempt)
        except BaseException:
            self._endpoints.drop(endpoint)
            raise

    async def _over_pipe(
        self, dial: Dial, address: Address, expected: PeerId | None, static_key: bytes
    ) -> RuntimeSession:
        tally, transport = self._context.transport_tally(address.scheme), self.streams[address.scheme]
        where = f"dial of {address.scheme}"
        for with_key in (True, False) if static_key else (False,):
            attempt = RuntimeAttempt(self._context, dial, address, expected, static_key)
            try:
                make = partial(dial_pipe, self._context, attempt, with_key)
                await call_plugin_async(tally, where, transport.dial, address, make)
            except (asyncio.CancelledError, PluginError):
                attempt.cancel()
                raise
            try:
                return await attempt.session()
            except Overtaken:
                raise
            except ConnectFailed:
                if not with_key:
                    raise
        raise AssertionError("unreachable")
