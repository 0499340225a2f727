"""Every kind of NAT does what its name says: the laboratory's routers, and those of the simulated network."""

import asyncio
from contextlib import ExitStack

import pytest

from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.testing import NATS, SimNetwork, run
from tests.natlab.laboratory import Laboratory, laboratory
from tests.natlab.machines import RealMachine
from tests.natlab.sim_machines import SimMachine
from tests.natlab.verdict import NOTHING_PASSES, Machine, StreamVerdict, Verdict, tcp_verdict, udp_verdict
from tests.netns.space import missing

SAME, RANDOM, COUNTED = NatMapping.ENDPOINT_INDEPENDENT, NatMapping.SYMMETRIC, NatMapping.SYMMETRIC_SEQUENTIAL
ALL, ADDRESS, ENDPOINT = (
    NatFiltering.ENDPOINT_INDEPENDENT,
    NatFiltering.ADDRESS_DEPENDENT,
    NatFiltering.ADDRESS_AND_PORT_DEPENDENT,
)
UDP = {
    "none": Verdict(NatMapping.NONE, ALL),
    "full_cone": Verdict(SAME, ALL),
    "address_restricted": Verdict(SAME, ADDRESS),
    "port_restricted": Verdict(SAME, ENDPOINT),
    "port_restricted_accepting": Verdict(SAME, ENDPOINT, keeps_port=False),
    "symmetric": Verdict(RANDOM, ENDPOINT),
    "symmetric_sequential": Verdict(COUNTED, ENDPOINT),
    "double": Verdict(SAME, ENDPOINT),
    "udp_blocked": NOTHING_PASSES,
}
# What strangers meet, and others of an address that was connected to.
TCP = {
    "none": StreamVerdict(NatMapping.NONE, "connected", "connected"),
    "full_cone": StreamVerdict(SAME, "connected", "connected"),
    "address_restricted": StreamVerdict(SAME, "silence", "connected"),
    "port_restricted": StreamVerdict(SAME, "silence", "silence"),
    "port_restricted_accepting": StreamVerdict(SAME, "refused", "refused"),
    "symmetric": StreamVerdict(RANDOM, "silence", "silence"),
    "symmetric_sequential": StreamVerdict(COUNTED, "silence", "silence"),
    "double": StreamVerdict(SAME, "silence", "silence"),
    "udp_blocked": StreamVerdict(SAME, "silence", "silence"),
}


async def judge(*machines: Machine) -> tuple[Verdict, StreamVerdict]:
    return await udp_verdict(*machines), await tcp_verdict(*machines)


@pytest.fixture(scope="module")
def real_verdicts() -> dict[str, tuple[Verdict, StreamVerdict] | BaseException]:
    """Of all the kinds at once: most of the time is waiting for what never comes."""

    async def judge_all(lab: Laboratory) -> list[tuple[Verdict, StreamVerdict] | BaseException]:
        with ExitStack() as stack:
            observer, other = (RealMachine(lab.site().hosts[0], stack) for _ in range(2))
            machines = [RealMachine(lab.site(nats).hosts[0], stack) for nats in NATS.values()]
            judging = [judge(machine, observer, other) for machine in machines]
            return await asyncio.gather(*judging, return_exceptions=True)

    with laboratory() as lab:
        return dict(zip(NATS, asyncio.run(judge_all(lab)), strict=True))


def test_every_kind_has_its_row() -> None:
    assert list(NATS) == list(UDP) == list(TCP)


@pytest.mark.integration
@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("name", NATS)
def test_a_real_router_gives_the_verdict_of_its_kind(
    real_verdicts: dict[str, tuple[Verdict, StreamVerdict] | BaseException], name: str
) -> None:
    assert real_verdicts[name] == (UDP[name], TCP[name])


@pytest.mark.parametrize("name", NATS)
def test_a_simulated_router_gives_the_same_verdict(name: str) -> None:
    async def simulate() -> tuple[Verdict, StreamVerdict]:
        net = SimNetwork(latency_s=(0.02, 0.02))
        hosts = [net.host("45.250.0.1"), net.host("45.251.0.1")]
        inside = net.host(behind=net.nat(*NATS[name]))
        return await judge(*map(SimMachine, (inside, *hosts)))

    assert run(simulate()) == (UDP[name], TCP[name])
