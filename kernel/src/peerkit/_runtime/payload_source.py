"""A session as the carrier of a datagram transport sees it: batches of payloads, upload and download limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._session import payloads as packets
from ..address import Address
from ..errors import PeerkitError
from ..transport import Buffer, FrameSource, PathKind
from .session import RuntimeSession
from .session_context import SessionContext


class PayloadSource:
    """See `peerkit.transport.FrameSource`."""

    def __init__(self, context: SessionContext, session: RuntimeSession) -> None:
        self._context = context
        self._session = session
        self._mux = session.mux
        self._outgoing = session.mux.outgoing
        self._carrier = session.carrier
        self._upload = context.upload
        self._download = context.download
        self._resume: asyncio.TimerHandle | None = None  # set while the upload limit holds us
        self._renew: asyncio.TimerHandle | None = None  # set while the download limit holds the peer's credit
        self._told_paths = self._paths

    def __repr__(self) -> str:
        return f"<PayloadSource of {self._session!r}>"

    @property
    def wants_to_send(self) -> bool:
        return self._outgoing.wants_to_send and not (self._resume is not None and self._is_held)

    @property
    def _is_held(self) -> bool:
        return self._resume is not None and self._session.is_open  # the farewell of a closed one is let out

    def unreliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        if self._resume is not None and self._is_held:
            return []
        out = self._outgoing.unreliable_payloads(max_bytes, count)
        return self._pulled(out) if out else out

    def reliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        if self._resume is not None and self._is_held:
            return []
        lone = self._outgoing.take_lone(max_bytes)
        out = [lone] if lone else packets.reliable_payloads(self._mux, max_bytes, count)
        return self._pulled(out) if out else out

    def _pulled(self, out: list[bytes]) -> list[bytes]:
        session = self._session
        if session.writers or session.drainers:
            session.pulled()
        if self._upload is not None and self._resume is None:
            wait_s = self._upload.take(sum(map(len, out)), self._context.clock.now())
            if wait_s > 0:
                self._resume = self._context.loop.call_later(wait_s, self._go_on)
        return out

    def _go_on(self) -> None:
        self._resume = None
        self._carrier.wake()

    def _renew_credit(self) -> None:
        self._renew = None
        if not self._session.is_open or self._download is None:
            return
        now = self._context.clock.now()
        wait_s = self._download.take(0, now)
        if wait_s > 0:  # more came meanwhile, on this session or another
            self._renew = self._context.loop.call_later(wait_s, self._renew_credit)
            return
        self._mux.credit.now = now
        packets.renew_credit(self._mux)
        self._carrier.wake()

    def refit(self, payload: Buffer, max_bytes: int) -> list[bytes]:
        return packets.refit(payload, max_bytes)

    def receive_payloads(self, payloads: Sequence[Buffer], now: float) -> None:
        nbytes = sum(map(len, payloads))
        self._session.inbound.take(packets.receive_payloads(self._mux, payloads), nbytes, now)
        if self._download is not None:
            wait_s = self._download.take(nbytes, now)
            if wait_s > 0 and self._renew is None:
                self._mux.credit.is_held = True
                self._renew = self._context.loop.call_later(wait_s, self._renew_credit)
        if self._outgoing.wants_to_send:
            self._carrier.wake()

    def farewell(self, error: PeerkitError) -> bytes:
        return self._session.farewell(error)

    @property
    def _paths(self) -> tuple[Address, Address, PathKind, int]:
        """What the node is told of: not the size of packets, which changes often."""
        paths = self._session.paths
        return paths[0].local, paths[0].remote, paths[0].kind, len(paths)

    def paths_changed(self) -> None:
        paths = self._paths
        if paths != self._told_paths:
            self._told_paths = paths
            self._context.owner.paths_changed(self._session)

    def carrier_lost(self, reason: str, by_peer: bool) -> None:
        self._session.carrier_lost(reason, by_peer)


if TYPE_CHECKING:
    _fits: type[FrameSource] = PayloadSource
