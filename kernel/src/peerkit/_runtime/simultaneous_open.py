"""A connection that both ends begin at once, for two peers that have a session over a relay (RFC 9293 §3.5).

Of the two one is the dialer all the same, or nobody would begin the handshake: the one that dialled the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from .._pool.slots import SlotClass
from ..address import Address
from ..errors import ConnectFailed, LimitExceeded, TrustDenied
from ..identity import PeerId
from ..session import Code, Purpose
from ..transport import Pipe, SimultaneousTransport, StreamTransport
from ..trust import Action, Question
from .dial_attempt import Dial, RuntimeAttempt
from .plugin_call import call_plugin_async
from .session_context import SessionContext
from .session_opening import RuntimeOpening
from .stream_carrier import StreamCarrier, dial_pipe

if TYPE_CHECKING:
    from .pool import RuntimePool
    from .session import RuntimeSession


class SimultaneousOpen:
    """Args:
    transports: by scheme.
    pool: where the sessions go.
    """

    def __init__(self, context: SessionContext, transports: Mapping[str, StreamTransport], pool: RuntimePool) -> None:
        self._context = context
        self._transports = transports
        self._pool = pool

    async def open(self, session: RuntimeSession, local: Address, remote: Address) -> None:
        """See `peerkit.capabilities.SessionControl.meet`."""
        if session.is_dialer:
            await self._dial(session, local, remote)
        else:
            await self._accept(session.peer_id, local, remote)

    async def _dial(self, session: RuntimeSession, local: Address, remote: Address) -> None:
        """The peer's handshake key is asked for, not taken from its record: an old key would cost the connection."""
        pool, slot = self._pool, SlotClass.TRANSIENT_OUT
        pool.take_slot(slot)
        dial = Dial(session.purpose)
        attempt = RuntimeAttempt(self._context, dial, remote, session.peer_id, b"")
        try:
            await self._connect(local, remote, session.peer_id, partial(dial_pipe, self._context, attempt, False))
            newer = dial.give(await attempt.session())
        except BaseException:
            pool.slots.give(slot)
            attempt.cancel()
            raise
        finally:
            dial.close()
        if newer.purpose is Purpose.MEMBER and not pool.supersedes(newer):  # the older one has gone meanwhile
            pool.slots.give(slot)
            slot = SlotClass.MEMBER_OUT
            if not pool.slots.take(slot):
                newer.end(Code.LIMIT, "no slot is free")
                raise LimitExceeded(f"all {slot.value} slots are in use")
        pool.admit(newer, slot)

    async def _accept(self, peer_id: PeerId, local: Address, remote: Address) -> None:
        owner = self._context.owner
        refusal = owner.handshake_began(remote)
        if refusal:
            raise ConnectFailed(str(remote), refusal)
        has_opening = False

        def attach(pipe: Pipe) -> StreamCarrier:
            nonlocal has_opening
            carrier = StreamCarrier(self._context, pipe)
            opening = RuntimeOpening(self._context, remote, pipe.binding, carrier.opening_ended, expected_peer=peer_id)
            has_opening = True
            carrier.begin(opening)
            return carrier

        try:
            await self._connect(local, remote, peer_id, attach)
        finally:
            if not has_opening:
                owner.handshake_ended()

    async def _connect(
        self, local: Address, remote: Address, peer_id: PeerId, attach: Callable[[Pipe], StreamCarrier]
    ) -> None:
        transport = self._transports.get(remote.scheme)
        if not isinstance(transport, SimultaneousTransport):
            raise ConnectFailed(str(remote), "no enabled transport can open this from both sides")
        decision = self._context.gate.check(Question(Action.DIAL, peer_id, remote))
        if not decision.allow:
            raise TrustDenied(Action.DIAL.value, decision.policy, decision.reason)
        where = f"dial_from of {remote.scheme}"
        await call_plugin_async(
            self._context.transport_tally(remote.scheme), where, transport.dial_from, local, remote, attach
        )
