"""The kernel's checks of protocols, routines, trust policies, and of the capabilities that the plugin provides."""

import asyncio

import pytest
from peerkit_public_address.adapter import PublicAddressPlugin
from peerkit_public_address.arrival import Arrival
from peerkit_public_address.codec import DialBack, encode_dial_back, encode_observe
from peerkit_public_address.contacts import Contacts
from peerkit_public_address.io.serving import PROTOCOL
from peerkit_public_address.trials import Origin

from peerkit import Address, Node
from peerkit.capabilities import DIAGNOSIS, REACHABILITY
from peerkit.testing import FakeClock, SimNetwork, plugin_of, provided_by, run
from peerkit.testing.health_checks import DIAGNOSIS_CHECKS, REACHABILITY_CHECKS
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck
from peerkit.testing.routine_checks import ROUTINE_CHECKS, RoutineBed, RoutineCheck
from peerkit.testing.trust_checks import TRUST_POLICY_CHECKS, TrustBed, TrustCheck
from plugins.public_address.tests.nodes import nodes_on

PROFILE = {"node": {"network": "test", "enable": ["public_address", "secure_noise", "transport_tcp"]}}
DIAL_BACKS = [
    encode_dial_back(DialBack(Address("tcp", "20.9.0.1", 4433), bytes(16), origin))
    for origin in (Origin.OTHER_PORT, Origin.OTHER_ADDRESS)
]
STREAMS = [len(message).to_bytes(2, "big") + message for message in DIAL_BACKS]
ARRIVAL = Arrival(bytes(16), bytes(range(16))).to_bytes()


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_the_protocol_passes_the_check(check: ProtocolCheck) -> None:
    async def main() -> None:
        bed = ProtocolBed(SimNetwork(), PROFILE, PROTOCOL, [encode_observe()], messages=[ARRIVAL], streams=STREAMS)
        await check(bed)

    run(main())


@pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
def test_the_routines_pass_the_check(check: RoutineCheck) -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        async with Node.open(PROFILE, platform=platform) as node:
            for routine in plugin_of(node, "public_address", PublicAddressPlugin).peerkit_register_routines():
                await check(RoutineBed(routine, platform, node.data_dir))

    run(main())


@pytest.mark.parametrize("check", TRUST_POLICY_CHECKS, ids=lambda check: check.__name__)
def test_the_policy_passes_the_check(check: TrustCheck) -> None:
    check(TrustBed(Contacts(FakeClock())))


def test_what_it_provides_passes_the_checks() -> None:
    """Alone, among peers, and unplugged."""

    async def check(node: Node) -> None:
        for reached in REACHABILITY_CHECKS:
            reached(provided_by(node, REACHABILITY))
        for look in DIAGNOSIS_CHECKS:
            await look(provided_by(node, DIAGNOSIS, "public_address"))

    async def main() -> None:
        net = SimNetwork()
        async with nodes_on(net) as nodes:
            node = await nodes.start("20.9.0.1", schemes=("udp", "tcp"))
            await check(node)
            for i in range(3):
                await nodes.start(f"30.{i}.0.1", bootstrap=[node])
            await asyncio.sleep(60)
            await check(node)
            net.unplug("20.9.0.1")
            await check(node)

    run(main())
