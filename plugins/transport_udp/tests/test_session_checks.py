"""The kernel's checks of sessions, over UDP: on clean and bad simulated networks."""

import pytest

from peerkit.testing import SimNetwork, run
from peerkit.testing.session_checks import SESSION_CHECKS, SessionBed, SessionCheck, check_protocols
from plugins.transport_udp.tests.nodes import open_simulated

EVERY_CHECK = pytest.mark.parametrize("check", SESSION_CHECKS, ids=lambda check: check.__name__)


@EVERY_CHECK
@pytest.mark.parametrize(
    ("loss", "reorder", "jitter_s"),
    [(0.0, 0.0, 0.0), (0.05, 0.05, 0.02), (0.2, 0.1, 0.0)],
    ids=["clean", "bad", "lossy"],
)
def test_sessions_pass_the_check(check: SessionCheck, loss: float, reorder: float, jitter_s: float) -> None:
    async def main() -> None:
        net = SimNetwork(jitter_s=jitter_s, loss=loss, reorder=reorder)
        settings = {"max_packets_per_key": 1 << 10}
        async with (
            open_simulated(net, *check_protocols(), settings=settings) as a,
            open_simulated(net, *check_protocols(), settings=settings) as b,
        ):
            await check(SessionBed(a, b, b.addresses[0]))

    run(main(), seed=3)
