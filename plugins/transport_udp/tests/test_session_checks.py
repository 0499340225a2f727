"""The kernel's checks of sessions, over UDP: on clean and bad simulated networks."""

import random

import pytest

from peerkit.address import Address
from peerkit.testing import SimNetwork, run
from peerkit.testing.session_checks import (
    SESSION_CHECKS,
    SessionBed,
    SessionCheck,
    check_protocols,
    streams_arrive_in_order,
)
from peerkit.testing.sim_datagram import SimDatagramEndpoint
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


def test_flipped_bits_of_any_packet_yield_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit of every fifth batch is another, of handshakes too: the check still passes, by what is sent again."""
    rng = random.Random(4)
    flipped = 0
    receive = SimDatagramEndpoint.receive

    def flip(self: SimDatagramEndpoint, source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
        nonlocal flipped
        if rng.random() < 0.2:
            changed = bytearray(data)
            bit = rng.randrange(8 * len(data))
            changed[bit // 8] ^= 1 << bit % 8
            data = bytes(changed)
            flipped += 1
        receive(self, source, target, data, segment_bytes)

    monkeypatch.setattr(SimDatagramEndpoint, "receive", flip)

    async def main() -> None:
        net = SimNetwork()
        async with open_simulated(net, *check_protocols()) as a, open_simulated(net, *check_protocols()) as b:
            await streams_arrive_in_order(SessionBed(a, b, b.addresses[0]))

    run(main(), seed=5)
    assert flipped > 20
