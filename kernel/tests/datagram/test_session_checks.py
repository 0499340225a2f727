"""The kernel's checks of sessions: on a stream transport and on a datagram transport of the simulated network."""

import pytest

from kernel.tests.datagram.nodes import open_node
from peerkit.testing import SimNetwork, run
from peerkit.testing.session_checks import SESSION_CHECKS, SessionBed, SessionCheck, check_protocols

EVERY_CHECK = pytest.mark.parametrize("check", SESSION_CHECKS, ids=lambda check: check.__name__)


@EVERY_CHECK
@pytest.mark.parametrize("scheme", ["tcp", "saw"])
def test_sessions_pass_the_check(check: SessionCheck, scheme: str) -> None:
    async def main() -> None:
        net = SimNetwork(jitter_s=0.002)
        async with (
            open_node(net, *check_protocols(), schemes=(scheme,)) as a,
            open_node(net, *check_protocols(), schemes=(scheme,)) as b,
        ):
            await check(SessionBed(a, b, b.addresses[0]))

    run(main(), seed=1)


@EVERY_CHECK
def test_sessions_on_datagrams_pass_the_check_when_one_in_ten_is_lost(check: SessionCheck) -> None:
    async def main() -> None:
        net = SimNetwork(jitter_s=0.02, loss=0.1, reorder=0.1)
        async with open_node(net, *check_protocols()) as a, open_node(net, *check_protocols()) as b:
            await check(SessionBed(a, b, b.addresses[0]))

    run(main(), seed=2)
