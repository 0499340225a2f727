"""The kernel's checks of security plugins and network keys, in a public and in a private network."""

import pytest
from peerkit_secure_noise.network_key import NoiseNetworkKey
from peerkit_secure_noise.plugin import plugin
from peerkit_secure_noise.settings import NoiseSettings
from pydantic import SecretStr

from peerkit.testing import SimNetwork
from peerkit.testing.health_checks import NETWORK_KEY_CHECKS, NetworkKeyBed, NetworkKeyCheck
from peerkit.testing.security_checks import SECURITY_CHECKS, SecurityCheck, security_bed

OURS, OTHER = bytes(32), bytes([1]) * 32


@pytest.mark.parametrize("check", SECURITY_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("psk", [None, SecretStr("11" * 32)], ids=["public", "private"])
async def test_security_passes_the_check(net: SimNetwork, check: SecurityCheck, psk: SecretStr | None) -> None:
    check(security_bed(net, plugin, NoiseSettings(psk=psk)))


@pytest.mark.parametrize("check", NETWORK_KEY_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("psk", [None, bytes([7]) * 32], ids=["public", "private"])
def test_the_network_key_passes_the_check(check: NetworkKeyCheck, psk: bytes | None) -> None:
    strangers = [NoiseNetworkKey(OTHER, None), NoiseNetworkKey(OURS, bytes([8]) * 32)]
    check(NetworkKeyBed(NoiseNetworkKey(OURS, psk), NoiseNetworkKey(OURS, psk), strangers))
