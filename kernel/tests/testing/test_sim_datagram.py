"""Simulated datagrams: batches, loss, reordering, path MTU, and who gets which first byte."""

import asyncio
from collections import Counter

import pytest

from peerkit.address import Address
from peerkit.errors import ConnectFailed, PluginConflictError
from peerkit.testing import SimNetwork, run
from peerkit.transport import DatagramEndpoint


class Inbox:
    """A datagram handler that keeps every batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, int, Address, Address, float]] = []

    def __call__(self, data: memoryview, segment_bytes: int, local: Address, remote: Address, now: float) -> None:
        self.batches.append((bytes(data), segment_bytes, local, remote, now))

    @property
    def segments(self) -> list[bytes]:
        return [data[at : at + size] for data, size, *_ in self.batches for at in range(0, len(data), size)]


async def _pair(net: SimNetwork) -> tuple[DatagramEndpoint, DatagramEndpoint, Inbox]:
    a = await net.platform("10.0.0.1").network.open_datagrams("0.0.0.0", 0)
    b = await net.platform("10.0.1.1").network.open_datagrams("10.0.1.1", 4_433)
    inbox = Inbox()
    b.register(0, 255, inbox)
    return a, b, inbox


def test_a_batch_arrives_as_one_batch_with_both_addresses() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.05, 0.05))
        a, b, inbox = await _pair(net)
        assert a.send_batch(None, b.local, 4, [b"aaaa", b"bbbb", b"cc"]) == 3
        await asyncio.sleep(1)
        source = Address("udp", "10.0.0.1", a.local.port)
        assert inbox.batches == [(b"aaaabbbbcc", 4, b.local, source, 0.05)]

    run(main())


def test_what_is_larger_than_the_path_vanishes() -> None:
    async def main() -> None:
        net = SimNetwork(mtu_bytes=1_200)
        a, b, inbox = await _pair(net)
        assert a.send_batch(None, b.local, 1_201, [bytes(1_201)]) == 1
        assert a.send_batch(None, b.local, 1_200, [bytes(1_200)]) == 1
        assert a.send_batch(None, b.local, 70_000, [bytes(70_000)]) == 0  # UDP has no such datagram
        await asyncio.sleep(1)
        assert [len(segment) for segment in inbox.segments] == [1_200]

    run(main())


def test_loss_takes_its_share() -> None:
    async def main() -> None:
        net = SimNetwork(loss=0.1)
        a, b, inbox = await _pair(net)
        for _ in range(1_000):
            a.send_batch(None, b.local, 100, [bytes(100)] * 10)
        await asyncio.sleep(1)
        assert 8_800 < len(inbox.segments) < 9_200

    run(main(), seed=1)


def test_reordering_loses_nothing() -> None:
    async def main() -> None:
        net = SimNetwork(reorder=0.2)
        a, b, inbox = await _pair(net)
        sent = [number.to_bytes(2) for number in range(1_000)]
        for at in range(0, 1_000, 10):
            a.send_batch(None, b.local, 2, sent[at : at + 10])
        await asyncio.sleep(1)
        assert inbox.segments != sent
        assert sorted(inbox.segments) == sent

    run(main(), seed=2)


def test_duplicates_come_twice_and_nothing_else_does() -> None:
    async def main() -> None:
        net = SimNetwork(duplicate=0.2)
        a, b, inbox = await _pair(net)
        sent = [number.to_bytes(2) for number in range(1_000)]
        for at in range(0, 1_000, 10):
            a.send_batch(None, b.local, 2, sent[at : at + 10])
        await asyncio.sleep(1)
        times = Counter(inbox.segments)
        assert sorted(times) == sent and set(times.values()) == {1, 2}
        assert 150 < sum(count == 2 for count in times.values()) < 250

    run(main(), seed=3)


def test_a_batch_is_split_among_the_owners_of_first_bytes() -> None:
    async def main() -> None:
        net = SimNetwork()
        a = await net.platform("10.0.0.1").network.open_datagrams("10.0.0.1", 0)
        b = await net.platform("10.0.1.1").network.open_datagrams("10.0.1.1", 0)
        low, high = Inbox(), Inbox()
        b.register(0x00, 0x0F, low)
        b.register(0x40, 0x7F, high)
        with pytest.raises(PluginConflictError, match="0x40"):
            b.register(0x30, 0x40, low)
        a.send_batch(None, b.local, 2, [b"\x01a", b"\x0fb", b"\x40c", b"\xffd", b"\x02e", b"\x7f"])
        await asyncio.sleep(1)
        assert [(data, size) for data, size, *_ in low.batches] == [(b"\x01a\x0fb", 2), (b"\x02e", 2)]
        assert [(data, size) for data, size, *_ in high.batches] == [(b"\x40c", 2), (b"\x7f", 1)]

    run(main())


def test_sockets_are_exclusive_and_further_ones_have_their_own_ports() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b, inbox = await _pair(net)
        with pytest.raises(ConnectFailed, match="in use"):
            await net.host("10.0.1.1").open_datagrams("0.0.0.0", 4_433)
        more = await a.open_more(3)
        assert len({endpoint.local.port for endpoint in (a, *more)}) == 4
        for endpoint in more:
            endpoint.send_batch(None, b.local, 2, [b"hi"])
        await asyncio.sleep(1)
        assert {batch[3].port for batch in inbox.batches} == {endpoint.local.port for endpoint in more}
        b.close()
        b.close()
        a.send_batch(None, b.local, 2, [b"no"])
        await asyncio.sleep(1)
        assert len(inbox.batches) == 3
        assert b.send_batch(None, a.local, 2, [b"no"]) == 0

    run(main())


def test_partition_and_crash_swallow_datagrams() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b, inbox = await _pair(net)
        net.partition(["10.0.0.1"], ["10.0.1.1"])
        a.send_batch(None, b.local, 1, [b"1"])
        net.heal()
        a.send_batch(None, b.local, 1, [b"2"])
        net.crash("10.0.1.1")  # while it is on its way
        await asyncio.sleep(1)
        net.bring_up("10.0.1.1")
        a.send_batch(None, b.local, 1, [b"3"])
        await asyncio.sleep(1)
        assert inbox.batches == []

    run(main())
