"""Testing nodes and plugins: virtual time, a simulated network, fakes, and helpers that drive protocol machines."""

from .fakes import FakeClock, SeededRng
from .machines import Exchange, events_of, exchange, run_until
from .plugin_context import FakePluginContext, FakePool
from .sim_network import SimNetwork
from .sim_platform import SimClock, SimPlatform
from .virtual_time import SimulationStalled, SimulationTooLong, VirtualTimeLoop, run

__all__ = [
    "Exchange",
    "FakeClock",
    "FakePluginContext",
    "FakePool",
    "SeededRng",
    "SimClock",
    "SimNetwork",
    "SimPlatform",
    "SimulationStalled",
    "SimulationTooLong",
    "VirtualTimeLoop",
    "events_of",
    "exchange",
    "run",
    "run_until",
]
