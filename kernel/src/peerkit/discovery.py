"""How a plugin proposes peers.  Discovery never connects: the pool does, when it has slots and the gate allows."""

from collections.abc import Sequence
from typing import Protocol

from .address import Address
from .record import PeerRecord


class Discovery(Protocol):
    """A source of candidates."""

    @property
    def name(self) -> str: ...

    async def find_peers(self, count: int) -> Sequence[PeerRecord | Address]:
        """Up to `count` candidates, best first, each once and never ourselves; fewer or none when there are none now.

        Called by the pool while it has free outbound slots, one call at a time, with back-off after an empty answer.
        Cancelled at 30 s; what goes beyond 16 times `count` is not looked at."""
        ...
