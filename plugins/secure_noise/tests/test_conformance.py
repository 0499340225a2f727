"""The kernel's checks of network keys; those of the handshake stand beside."""

import pytest
from peerkit_secure_noise.network_key import NoiseNetworkKey

from peerkit.testing.health_checks import NETWORK_KEY_CHECKS, NetworkKeyBed, NetworkKeyCheck

OURS, OTHER = bytes(32), bytes([1]) * 32


@pytest.mark.parametrize("check", NETWORK_KEY_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("psk", [None, bytes([7]) * 32], ids=["public", "private"])
def test_the_network_key_passes_the_check(check: NetworkKeyCheck, psk: bytes | None) -> None:
    strangers = [NoiseNetworkKey(OTHER, None), NoiseNetworkKey(OURS, bytes([8]) * 32)]
    check(NetworkKeyBed(NoiseNetworkKey(OURS, psk), NoiseNetworkKey(OURS, psk), strangers))
