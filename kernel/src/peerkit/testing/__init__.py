"""Testing nodes and plugins: virtual time, a simulated network, fakes, and helpers that drive protocol machines.

Names are imported when first used: a test of a pure machine does not load the kernel.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .fakes import FakeClock as FakeClock
    from .fakes import SeededRng as SeededRng
    from .machines import Exchange as Exchange
    from .machines import events_of as events_of
    from .machines import exchange as exchange
    from .machines import run_until as run_until
    from .nat_kinds import NATS as NATS
    from .nat_kinds import NatKind as NatKind
    from .node_parts import plugin_of as plugin_of
    from .node_parts import provided_by as provided_by
    from .plugin_context import FakePluginContext as FakePluginContext
    from .plugin_context import FakePool as FakePool
    from .sim_nat import SimNat as SimNat
    from .sim_network import SimNetwork as SimNetwork
    from .sim_platform import SimClock as SimClock
    from .sim_platform import SimPlatform as SimPlatform
    from .swarm import Swarm as Swarm
    from .virtual_time import SimulationStalled as SimulationStalled
    from .virtual_time import SimulationTooLong as SimulationTooLong
    from .virtual_time import VirtualTimeLoop as VirtualTimeLoop
    from .virtual_time import run as run
else:
    _HOME = {
        "Exchange": "machines",
        "FakeClock": "fakes",
        "FakePluginContext": "plugin_context",
        "FakePool": "plugin_context",
        "SeededRng": "fakes",
        "NATS": "nat_kinds",
        "NatKind": "nat_kinds",
        "SimClock": "sim_platform",
        "SimNat": "sim_nat",
        "SimNetwork": "sim_network",
        "SimPlatform": "sim_platform",
        "SimulationStalled": "virtual_time",
        "SimulationTooLong": "virtual_time",
        "Swarm": "swarm",
        "VirtualTimeLoop": "virtual_time",
        "events_of": "machines",
        "exchange": "machines",
        "plugin_of": "node_parts",
        "provided_by": "node_parts",
        "run": "virtual_time",
        "run_until": "machines",
    }

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        return value


__all__ = [
    "NATS",
    "Exchange",
    "FakeClock",
    "FakePluginContext",
    "FakePool",
    "NatKind",
    "SeededRng",
    "SimClock",
    "SimNat",
    "SimNetwork",
    "SimPlatform",
    "SimulationStalled",
    "SimulationTooLong",
    "Swarm",
    "VirtualTimeLoop",
    "events_of",
    "exchange",
    "plugin_of",
    "provided_by",
    "run",
    "run_until",
]
