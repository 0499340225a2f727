"""Testing nodes and plugins: virtual time, a simulated network, fakes, and helpers that drive protocol machines."""

from .sim_network import SimNetwork
from .sim_platform import SimClock, SimPlatform
from .virtual_time import SimulationStalled, SimulationTooLong, VirtualTimeLoop, run

__all__ = ["SimClock", "SimNetwork", "SimPlatform", "SimulationStalled", "SimulationTooLong", "VirtualTimeLoop", "run"]
