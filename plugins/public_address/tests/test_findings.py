"""What `peerkit doctor` says."""

import asyncio
import random
from collections.abc import Sequence

from peerkit_public_address.findings import findings
from peerkit_public_address.outside_view import OutsideView
from peerkit_public_address.settings import PublicAddressSettings
from peerkit_public_address.trials import Origin
from peerkit_public_address.url_answers import UrlAnswer, UrlVerdict
from peerkit_public_address.verification import Question, Verification

from peerkit.address import Address
from peerkit.capabilities import DIAGNOSIS, Diagnosis, Finding
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import NATS, SimNetwork, run
from plugins.public_address.tests.nodes import nodes_on

OURS = Address("udp", "20.9.0.1", 4433)


def test_doctor_tells_the_nat_of_a_whole_node_in_words() -> None:
    told: list[Diagnosis] = []

    def ask(ctx: PluginContext[Settings]) -> object:
        told.extend(ctx.require_all(DIAGNOSIS))
        return object()

    async def main() -> Sequence[Finding]:
        net = SimNetwork()
        async with nodes_on(net) as nodes:
            peers = [await nodes.start(f"30.{i}.0.1") for i in range(3)]
            patient = {"asker": PluginSpec(Settings, ask, requires=(DIAGNOSIS,))}
            nat = net.nat(*NATS["symmetric"], ip=OURS.host)
            node = await nodes.start("192.168.1.2", settings={"verify_interval_s": 3.0}, plugins=patient, behind=nat)
            for peer in peers:
                await node.connect(peer.addresses[0])
            await asyncio.sleep(60)
            return [finding for diagnosis in told for finding in await diagnosis.diagnose()]

    found = {finding.topic: finding for finding in run(main(), seed=1)}
    assert found["NAT"].verdict == "warning"
    assert "(a symmetric NAT); packets come in only from where this node has sent to" in found["NAT"].text
    assert found["NAT"].details["mapping"] == "symmetric"
    assert found["public address"].details["observers"] == 3
    assert found["reachability"].verdict == "warning"
    assert "dial-backs failed (nothing arrived)" in found["reachability"].text


def test_a_node_without_peers_says_what_is_missing() -> None:
    view = OutsideView(PublicAddressSettings().observation_age_s)
    view.listens_on([OURS])
    texts = [f.text for f in findings(view, _verification(), None, [], None)]
    assert texts == [
        "too few peers have said where they see this node to tell how its router translates; whom it lets in is not "
        "known yet",
        "no peer has said yet where it sees this node",
        "not enough peers have tried to reach this node",
    ]


def test_why_a_server_did_not_try_is_told() -> None:
    verification = _verification()
    peer = PeerId(bytes(32))
    verification.answered(Question(peer, "30.0.0.0/16", OURS, Origin.OTHER_PORT), None, "it is busy", 0.0)
    view = OutsideView(1800)
    view.listens_on([OURS])
    (reachability,) = [f for f in findings(view, verification, None, [], None) if f.topic == "reachability"]
    assert reachability.text == f"not enough peers have tried to reach this node; {peer.short}: it is busy"


def test_pages_that_fail_are_named() -> None:
    verdict = UrlVerdict("", "no page answered", (UrlAnswer("http://a.example/", reason="it hangs"),))
    finding = findings(OutsideView(1800), _verification(), None, [], verdict)[-1]
    assert (finding.topic, finding.verdict) == ("IPv4 by URL", "warning")
    assert finding.text.endswith("no page answered (http://a.example/: it hangs)")


def _verification() -> Verification:
    return Verification(random.Random(1), 300, 3600)
