"""Secrets that the members of a network share outside of sessions: `peerkit.capabilities.NetworkKey`.

secret = HKDF(PSK, or in a public network its id, "peerkit v1 network " ‖ label)
"""

from typing import TYPE_CHECKING

from peerkit.capabilities import NetworkKey
from peerkit.identity import hkdf


class NoiseNetworkKey:
    """Args:
    psk: the pre-shared key, already bound to the network's id; `None` for a public network.
    """

    def __init__(self, network_id: bytes, psk: bytes | None) -> None:
        self._secret = psk or network_id

    def derive(self, label: bytes, length: int = 32) -> bytes:
        return hkdf(self._secret, b"peerkit v1 network " + label, length)


if TYPE_CHECKING:
    _fits: type[NetworkKey] = NoiseNetworkKey
