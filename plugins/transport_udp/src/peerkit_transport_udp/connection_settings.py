"""What one node's connections have in common, from the plugin's settings."""

from collections.abc import Callable
from dataclasses import dataclass

from .congestion import CongestionController, Cubic, LedbatPlusPlus, NewReno
from .parameters import Parameters
from .settings import UdpSettings

CONTROLLERS: dict[str, Callable[[int], CongestionController]] = {
    "cubic": Cubic,
    "newreno": NewReno,
    "ledbat++": LedbatPlusPlus,
}


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Attributes:
    parameters: what we tell the peer.
    keep_alive_s: after so long without a packet we ask whether the peer is there; keeps NAT mappings.
    padding_bytes: see `Packing`.
    """

    parameters: Parameters
    make_controller: Callable[[int], CongestionController]
    keep_alive_s: float = 20.0
    padding_bytes: int = 0


def connection_settings(settings: UdpSettings, node_key: bytes) -> ConnectionSettings:
    """Args:
    node_key: what masks the connection ids of packets to this node.
    """
    parameters = Parameters(node_key, settings.max_datagram_bytes, settings.idle_timeout_s)
    return ConnectionSettings(
        parameters, CONTROLLERS[settings.congestion], settings.keep_alive_s, settings.padding_bytes
    )
