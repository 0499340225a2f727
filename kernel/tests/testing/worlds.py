"""Nodes that share what they know in memory, the first of them of a class of the test."""

from typing import Any

from peerkit.identity import Identity
from peerkit.testing import FakeClock
from peerkit.testing.fake_capabilities import MemoryRouting, MemoryWorld


def members(kind: type[MemoryRouting], count: int) -> list[Any]:
    world = MemoryWorld(bytes(32), FakeClock())
    nodes = [world.node(Identity(bytes([i + 1]) * 32)) for i in range(count)]
    return [kind(world, nodes[0].own), *nodes[1:]]
