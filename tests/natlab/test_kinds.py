"""Every kind of NAT does what its name says: the laboratory's routers, and those of the simulated network."""

import asyncio
from contextlib import ExitStack

import pytest

from peerkit.testing.nat_kinds import NATS, NatFiltering, NatMapping, NatPorts
from tests.natlab.laboratory import Laboratory, laboratory
from tests.natlab.machines import RealMachine
from tests.natlab.verdict import NOTHING_PASSES, StreamVerdict, Verdict, tcp_verdict, udp_verdict
from tests.netns.space import missing

SAME, OTHER = NatMapping.ENDPOINT_INDEPENDENT, NatMapping.ADDRESS_AND_PORT_DEPENDENT
ALL, ADDRESS, ENDPOINT = (
    NatFiltering.ENDPOINT_INDEPENDENT,
    NatFiltering.ADDRESS_DEPENDENT,
    NatFiltering.ADDRESS_AND_PORT_DEPENDENT,
)
KEPT, RANDOM, COUNTED = NatPorts.PRESERVED, NatPorts.RANDOM, NatPorts.SEQUENTIAL
UDP = {
    "none": Verdict(SAME, ALL, KEPT),
    "full_cone": Verdict(SAME, ALL, KEPT),
    "address_restricted": Verdict(SAME, ADDRESS, KEPT),
    "port_restricted": Verdict(SAME, ENDPOINT, KEPT),
    "port_restricted_accepting": Verdict(SAME, ENDPOINT, KEPT, keeps_port=False),
    "symmetric": Verdict(OTHER, ENDPOINT, RANDOM),
    "symmetric_sequential": Verdict(OTHER, ENDPOINT, COUNTED),
    "double": Verdict(SAME, ENDPOINT, KEPT),
    "udp_blocked": NOTHING_PASSES,
}
# Strangers, and others of an address that was written to.
TCP = {
    "none": StreamVerdict(SAME, "connected", "connected", KEPT),
    "full_cone": StreamVerdict(SAME, "connected", "connected", KEPT),
    "address_restricted": StreamVerdict(SAME, "silence", "connected", KEPT),
    "port_restricted": StreamVerdict(SAME, "silence", "silence", KEPT),
    "port_restricted_accepting": StreamVerdict(SAME, "refused", "refused", KEPT),
    "symmetric": StreamVerdict(OTHER, "silence", "silence", RANDOM),
    "symmetric_sequential": StreamVerdict(OTHER, "silence", "silence", COUNTED),
    "double": StreamVerdict(SAME, "silence", "silence", KEPT),
    "udp_blocked": StreamVerdict(SAME, "silence", "silence", KEPT),
}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[Verdict, StreamVerdict] | BaseException]:
    """Of all the kinds at once: most of the time is waiting for what never comes."""

    async def judge(*machines: RealMachine) -> tuple[Verdict, StreamVerdict]:
        return await udp_verdict(*machines), await tcp_verdict(*machines)

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
def test_a_router_gives_the_verdict_of_its_kind(
    verdicts: dict[str, tuple[Verdict, StreamVerdict] | BaseException], name: str
) -> None:
    assert verdicts[name] == (UDP[name], TCP[name])
