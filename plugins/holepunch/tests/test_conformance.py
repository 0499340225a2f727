"""The kernel's checks of protocols and diagnosis."""

import pytest
from peerkit_holepunch.codec import Introduce, Meet, encode_request
from peerkit_holepunch.io.introducing import PROTOCOL

from peerkit import Address, Node
from peerkit.capabilities import DIAGNOSIS
from peerkit.identity import PeerId
from peerkit.record import Signed
from peerkit.testing import SimNetwork, provided_by, run
from peerkit.testing.health_checks import DIAGNOSIS_CHECKS, DiagnosisCheck
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck
from plugins.holepunch.tests.nodes import homes

PROFILE = {
    "node": {
        "network": "test",
        "enable": ["holepunch", "public_address", "secure_noise", "transport_tcp", "transport_udp"],
    }
}
OFFER = Signed(b"an offer that nobody signed", bytes(64)).to_bytes()
WHERE = (Address("udp", "20.9.0.1", 4433),)
REFUSED = [encode_request(each) for each in (Introduce(PeerId(bytes(range(32))), OFFER), Meet(OFFER, WHERE, WHERE, 1))]


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_the_protocol_passes_the_check(check: ProtocolCheck) -> None:
    async def main() -> None:
        await check(ProtocolBed(SimNetwork(), PROFILE, PROTOCOL, [], REFUSED))

    run(main())


@pytest.mark.parametrize("check", DIAGNOSIS_CHECKS, ids=lambda check: check.__name__)
def test_the_diagnosis_passes_the_check(check: DiagnosisCheck) -> None:
    """Alone, and behind a NAT after a hole was punched."""

    async def main() -> None:
        async with Node.open(PROFILE, platform=SimNetwork().platform()) as node:
            await check(provided_by(node, DIAGNOSIS, "holepunch"))
        async with homes("port_restricted", "port_restricted") as found:
            await found.meet()
            await check(provided_by(found.a, DIAGNOSIS, "holepunch"))

    run(main())
