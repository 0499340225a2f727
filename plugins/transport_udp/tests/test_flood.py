"""Well-formed forged first packets, 50,000 a second, at a whole node with its real handshake: what they cost, what is
kept of them, and whether others still get in.

Time is virtual, so nothing here depends on the machine; `bench/flood.py` measures what a flood costs in time.
"""

import asyncio
import random
import sys
from collections.abc import Callable

import nacl.bindings
import pytest
from peerkit_transport_udp.admission import Admission, Verdict
from peerkit_transport_udp.dispatcher import Dispatcher
from peerkit_transport_udp.handshake_packets import Cookie, decode, encode_message
from peerkit_transport_udp.plugin import Udp

import peerkit
from peerkit.address import Address
from peerkit.testing import SimNetwork, run
from plugins.transport_udp.tests.nodes import open_simulated

PER_S = 50_000
TICKS = 50  # in half a second
XX, IK = b"\2" + bytes(range(1, 33)), b"\1" + bytes(range(1, 201))  # a key, and what looks like sealed bytes

Flood = Callable[[int], tuple[Address, bytes]]
"""The n-th packet and where it seems to come from."""


def packet(sender: int, message: bytes, cookie: bytes = b"") -> bytes:
    return encode_message(0, sender, 0, message, cookie, 1_200, True)[0]


def many_addresses(message: bytes) -> Flood:
    def make(n: int) -> tuple[Address, bytes]:
        host = f"{40 + (n >> 16) % 100}.{n >> 8 & 255}.{n & 255}.7"
        return Address("udp", host, 1_024 + n % 60_000), packet(n + 1, message)

    return make


def one_address(message: bytes) -> Flood:
    return lambda n: (Address("udp", "40.0.0.1", 4_000), packet(n + 1, message))


class Meter:
    """X25519 operations done while the flood is received; both nodes run in this process."""

    def __init__(self) -> None:
        self.operations = 0
        self.is_on = False


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    meter = Meter()
    for name in ("crypto_scalarmult", "crypto_scalarmult_base"):
        original: Callable[..., bytes] = getattr(nacl.bindings, name)

        def counted(*arguments: bytes, original: Callable[..., bytes] = original) -> bytes:
            meter.operations += meter.is_on
            return original(*arguments)

        monkeypatch.setattr(nacl.bindings, name, counted)
    return meter


async def half_second_of(flood: Flood, first: int, net: SimNetwork, target: Address, meter: Meter) -> int:
    """Half a second of it; returns the operations that it cost."""
    before, host = meter.operations, net.host(target.host)
    for tick in range(TICKS):
        for n in range(PER_S // 2 // TICKS):
            source, data = flood(first + tick * (PER_S // 2 // TICKS) + n)
            meter.is_on = True
            host.receive_datagrams(source, target, data, len(data))
            meter.is_on = False
        await asyncio.sleep(0.5 / TICKS)
    return meter.operations - before


def dispatcher_of(node: peerkit.Node) -> Dispatcher:
    (udp,) = (built.obj for built in node.host._built if built.name == "transport_udp")
    assert isinstance(udp, Udp)
    return udp._transport._dispatcher


@pytest.mark.parametrize("flood", [many_addresses(XX), one_address(IK)], ids=["XX", "IK"])
def test_a_flood_costs_few_operations_and_keeps_little(flood: Flood, meter: Meter) -> None:
    """The kept state is counted, and the interpreter's blocks too, which nothing escapes."""

    async def main() -> None:
        net = SimNetwork()
        async with (
            open_simulated(net, platform=net.platform("20.0.0.1")) as a,
            open_simulated(net, platform=net.platform("30.0.0.2")) as b,
        ):
            target = b.addresses[0].without_peer()
            dial = asyncio.create_task(a.connect(b.addresses[0]))
            operations = await half_second_of(flood, 0, net, target, meter)
            blocks = sys.getallocatedblocks()
            operations += await half_second_of(flood, PER_S // 2, net, target, meter)
            more_blocks = sys.getallocatedblocks() - blocks
            await dial
            assert 0 < operations <= 100
            assert more_blocks < 2_500, "less than one block for ten packets"
            dispatcher = dispatcher_of(b)
            assert len(dispatcher.acceptor) <= b.config.node.slots.handshaking
            assert len(dispatcher.admission._addresses) + len(dispatcher.admission._hosts) <= 2
            assert len(dispatcher.table.connections) == 1

    run(main(), seed=1)


def test_a_flood_from_true_addresses_meets_the_budget_of_proven_ones(meter: Meter) -> None:
    """200 hosts that take their cookies and use them: 200 handshakes a second, whatever they send (threat model)."""

    async def main() -> None:
        net = SimNetwork(latency_s=(0.001, 0.001))
        async with open_simulated(net, platform=net.platform("30.0.0.2")) as b:
            target = b.addresses[0].without_peer()
            b_dispatcher = dispatcher_of(b)
            cookies: dict[int, bytes] = {}
            attackers = [net.host(f"50.0.{i}.1").bind_datagrams(f"50.0.{i}.1", 7_000) for i in range(200)]
            b_dispatcher.admission._unproven.take(1_000, net.loop.time())  # others have used it up
            for i, attacker in enumerate(attackers):

                def receive(
                    data: memoryview, size: int, local: Address, remote: Address, now: float, i: int = i
                ) -> None:
                    answer = decode(data)
                    assert isinstance(answer, Cookie)
                    cookies[i] = answer.cookie

                attacker.register(0x80, 0x8F, receive)
                attacker.send_batch(None, target, 1_200, [packet(i + 1, IK)])
            await asyncio.sleep(0.5)
            assert len(cookies) == len(attackers)

            def flood(n: int) -> tuple[Address, bytes]:
                i = n % len(attackers)
                return attackers[i].local, packet(i + 1, IK, cookies[i])

            await half_second_of(flood, 0, net, target, meter)  # with the bursts of every budget
            assert await half_second_of(flood, 0, net, target, meter) <= 130

    run(main(), seed=2)


def test_most_dials_get_their_cookie_during_a_flood() -> None:
    """Which packet meets a token is chance, so a dialer must meet one within the packets that it sends in 10 s: after
    0, 0.5, 1.5, 3.5 and 7.5 s with the peer's key, from 0.5 s on also without."""
    admission, chance = Admission(bytes(32)), random.Random(3)
    stranger, honest = Address("udp", "40.0.0.1", 4_000), Address("udp", "20.0.0.1", 4_000)
    dialers = range(100)
    tries = sorted(
        (1 + dialer / 1_000 + after, dialer)
        for dialer in dialers
        for after in (0.0, 0.5, 1.5, 3.5, 7.5, 0.5, 1.0, 2.0, 4.0, 8.0)
    )
    served, now = set(), 0.0
    for at, dialer in tries:
        while now < at:
            admission.judge(stranger, 1, b"", False, now)
            now += chance.expovariate(PER_S)
        if admission.judge(honest, dialer, b"", False, at) in (Verdict.ASK_COOKIE, Verdict.ADMIT):
            served.add(dialer)
    assert len(served) > 0.75 * len(dialers)
