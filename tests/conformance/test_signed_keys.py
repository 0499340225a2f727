"""The security plugin of somebody else passes the kernel's checks, so what is made of it and fails them is broken."""

import pytest

from peerkit.testing import SimNetwork
from peerkit.testing.security_checks import SECURITY_CHECKS, SecurityCheck, security_bed
from tests.packaging.distributions.signed_keys.signed_keys import plugin


@pytest.mark.parametrize("check", SECURITY_CHECKS, ids=lambda check: check.__name__)
async def test_security_passes_the_check(net: SimNetwork, check: SecurityCheck) -> None:
    check(security_bed(net, plugin))
