"""The kernel's checks for security plugins, in a public and in a private network."""

import pytest
from peerkit_secure_noise.plugin import plugin
from peerkit_secure_noise.settings import NoiseSettings
from pydantic import SecretStr

from peerkit.testing import SimNetwork
from peerkit.testing.security_checks import SECURITY_CHECKS, SecurityCheck, security_bed


@pytest.mark.parametrize("check", SECURITY_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("psk", [None, SecretStr("11" * 32)], ids=["public", "private"])
async def test_security_passes_the_check(net: SimNetwork, check: SecurityCheck, psk: SecretStr | None) -> None:
    check(security_bed(net, plugin, NoiseSettings(psk=psk)))
