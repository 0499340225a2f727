"""The kernel's checks of protocols, routines and diagnosis."""

import pytest
from peerkit_relay.adapter import RelayPlugin
from peerkit_relay.circuit import PROTOCOL
from peerkit_relay.codec import CircuitTerms, Close, Connect, Incoming, Reserve, encode_ask

from peerkit import Node
from peerkit.capabilities import DIAGNOSIS
from peerkit.identity import PeerId
from peerkit.testing import SimNetwork, plugin_of, provided_by, run
from peerkit.testing.health_checks import DIAGNOSIS_CHECKS, DiagnosisCheck
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck
from peerkit.testing.routine_checks import ROUTINE_CHECKS, RoutineBed, RoutineCheck
from plugins.relay.tests.nodes import homes

PROFILE = {"node": {"network": "test", "enable": ["relay", "secure_noise", "transport_tcp", "transport_udp"]}}
PEER = PeerId(bytes(range(32)))
ASKS = [encode_ask(ask) for ask in (Reserve(), Connect(PEER), Incoming(PEER, CircuitTerms(7, 1_200, 60, 1_000)))]
TOLD = [encode_ask(Close(7, "gone"))]
CARRIED = [(7).to_bytes(4, "big") + b"\x40 a packet of theirs"]


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_the_protocol_passes_the_check(check: ProtocolCheck) -> None:
    async def main() -> None:
        await check(ProtocolBed(SimNetwork(), PROFILE, PROTOCOL, [], ASKS, TOLD, [], CARRIED))

    run(main())


@pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
def test_the_routines_pass_the_check(check: RoutineCheck) -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        async with Node.open(PROFILE, platform=platform) as node:
            for routine in plugin_of(node, "relay", RelayPlugin).peerkit_register_routines():
                await check(RoutineBed(routine, platform, node.data_dir))

    run(main())


@pytest.mark.parametrize("check", DIAGNOSIS_CHECKS, ids=lambda check: check.__name__)
def test_the_diagnosis_passes_the_check(check: DiagnosisCheck) -> None:
    """Of a relay, and of one that it serves."""

    async def main() -> None:
        async with homes() as found:
            for node in (found.relay, found.b):
                await check(provided_by(node, DIAGNOSIS, "relay"))

    run(main())
