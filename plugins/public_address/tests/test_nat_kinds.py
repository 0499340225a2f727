"""Every kind of NAT is told by whole nodes as what it is.  The simulated NATs behave as the laboratory's real ones."""

import asyncio

import pytest

from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.testing import NATS, SimNetwork, run
from plugins.public_address.tests.nodes import nodes_on

OUTSIDE, INSIDE = "20.9.0.1", "192.168.1.2"
_OPEN, _PORT = NatFiltering.ENDPOINT_INDEPENDENT, NatFiltering.ADDRESS_AND_PORT_DEPENDENT
_SAME = NatMapping.ENDPOINT_INDEPENDENT

EXPECTED = {
    "none": (NatMapping.NONE, _OPEN, True),
    "full_cone": (_SAME, _OPEN, True),
    "address_restricted": (_SAME, NatFiltering.ADDRESS_DEPENDENT, False),
    "port_restricted": (_SAME, _PORT, False),
    "port_restricted_accepting": (_SAME, _PORT, False),
    "symmetric": (NatMapping.SYMMETRIC, _PORT, False),
    "symmetric_sequential": (NatMapping.SYMMETRIC_SEQUENTIAL, _PORT, False),
    "double": (_SAME, _PORT, False),
    "udp_blocked": (NatMapping.UNKNOWN, NatFiltering.UNKNOWN, None),
}


@pytest.mark.parametrize("kind", NATS)
def test_a_nat_is_told_by_its_mapping_and_filtering(kind: str) -> None:
    async def main() -> None:
        net = SimNetwork()
        async with nodes_on(net) as nodes:
            schemes = ("tcp",) if kind == "udp_blocked" else ("udp", "tcp")
            peers = [await nodes.start(f"30.{i}.0.1", schemes=schemes) for i in range(4)]
            for i, peer in enumerate(peers):
                await nodes.start(f"40.{i}.0.1", schemes=schemes, bootstrap=[peer])
            node = await nodes.start(
                INSIDE if NATS[kind] else OUTSIDE,
                schemes=("udp", "tcp"),
                settings={"verify_interval_s": 3.0},
                behind=net.nat(*NATS[kind], ip=OUTSIDE),
            )
            for peer in peers:
                await node.connect(peer.addresses[0])
            await asyncio.sleep(90)
            view = nodes.of(node).reachability
            mapping, filtering, is_public = EXPECTED[kind]
            assert (view.mapping, view.filtering) == (mapping, filtering)
            assert view.port_step == (1 if kind == "symmetric_sequential" else 0)
            assert {a.host for a in view.observed("udp")} <= {OUTSIDE}
            if is_public is not None:
                assert view.is_public is is_public
                in_record = {a for a in nodes.of(node).own.addresses if a.host == OUTSIDE and a.scheme == "udp"}
                assert bool(in_record) is is_public

    run(main(), seed=1)


def test_a_nat_that_gets_another_address_is_seen_there() -> None:
    """A provider's reconnect: our own interfaces tell nothing of it."""

    async def main() -> None:
        net = SimNetwork()
        async with nodes_on(net) as nodes:
            peers = [await nodes.start(f"30.{i}.0.1") for i in range(4)]
            for i, peer in enumerate(peers):
                await nodes.start(f"40.{i}.0.1", bootstrap=[peer])
            nat = net.nat(*NATS["full_cone"], ip=OUTSIDE)
            assert nat is not None
            quick = {"verify_interval_s": 3.0, "ask_again_s": 30.0}
            node = await nodes.start(INSIDE, settings=quick, behind=nat)
            for peer in peers:
                await node.connect(peer.addresses[0])
            await asyncio.sleep(60)
            assert {a.host for a in nodes.of(node).reachability.observed("udp")} == {OUTSIDE}
            nat.move("21.9.0.1")
            await asyncio.sleep(200)
            view = nodes.of(node).reachability
            assert {a.host for a in view.observed("udp")} == {"21.9.0.1"}
            assert {a.host for a in nodes.of(node).own.addresses} == {"21.9.0.1", INSIDE}
            assert view.is_public is True

    run(main(), seed=1)
