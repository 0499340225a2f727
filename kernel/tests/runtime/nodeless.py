"""The runtime's parts without a node: virtual clock, event bus, supervisor."""

import asyncio
import random
from dataclasses import dataclass

from peerkit._runtime.event_bus import EventBus
from peerkit._runtime.logging_setup import node_logger
from peerkit._runtime.supervisor import Supervisor
from peerkit.identity import Identity
from peerkit.testing import SimClock
from peerkit.testing.virtual_time import current_loop

IDENTITY = Identity(bytes(32))


@dataclass
class Parts:
    clock: SimClock
    rng: random.Random
    events: EventBus
    supervisor: Supervisor


def parts(seed: int = 1) -> Parts:
    """Inside `peerkit.testing.run`."""
    clock, rng = SimClock(current_loop()), random.Random(seed)
    events = EventBus(clock)
    return Parts(clock, rng, events, Supervisor(clock, rng, events, node_logger(IDENTITY.peer_id)))


async def forever() -> None:
    await asyncio.get_running_loop().create_future()
