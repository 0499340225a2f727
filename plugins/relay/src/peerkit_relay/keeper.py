"""Keeps sessions from being closed as idle: a circuit needs its sessions though no request runs on them."""

from collections.abc import Callable, Coroutine
from contextlib import suppress

from peerkit.capabilities import Dialer, SessionControl
from peerkit.errors import PeerkitError
from peerkit.identity import PeerId

Spawn = Callable[[Coroutine[object, object, None], str], Callable[[], None]]


class Keeper:
    """Args:
    spawn: runs a background task, returns its cancel.
    """

    def __init__(self, spawn: Spawn, dialer: Dialer, control: SessionControl) -> None:
        self._spawn = spawn
        self._dialer = dialer
        self._control = control
        self._kept: dict[PeerId, Callable[[], None]] = {}

    def keep_only(self, wanted: set[PeerId]) -> None:
        """Keep the sessions with these peers, as far as they are there, and no others.  Call it again and again: a
        session may have been replaced by another."""
        for peer_id in self._kept.keys() - wanted:
            self._kept.pop(peer_id)()
        for peer_id in sorted(wanted - self._kept.keys(), key=lambda peer: peer.raw):
            if self._control.find(peer_id) is not None:
                self._kept[peer_id] = self._spawn(self._keep(peer_id), f"keep {peer_id.short}")

    async def _keep(self, peer_id: PeerId) -> None:
        try:
            with suppress(PeerkitError):
                async with self._dialer.transient(peer_id) as session:  # the one that is there: nobody is dialled
                    await session.wait_closed()
        finally:
            self._kept.pop(peer_id, None)
