"""What plugins find out about this node's own addresses reaches its record and its peers; `doctor` gathers findings."""

import asyncio
from collections.abc import Sequence

from peerkit import Node, ProtocolSpec
from peerkit.address import Address
from peerkit.capabilities import DIAGNOSIS, OWN_ADDRESSES, Finding, OwnAddresses
from peerkit.event import AddressesChanged
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import OTHERS

MAPPED = Address.parse("tcp://11.0.0.1:4433")


class Finder:
    """Finds an address when it is told to; its diagnosis fails when it is told to."""

    made: list["Finder"]

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.own: OwnAddresses = ctx.require(OWN_ADDRESSES)
        self.findings: Sequence[Finding] | Exception = [Finding("port mapping", "ok", "mapped", {"port": 4433})]
        self.made.append(self)
        ctx.provide(DIAGNOSIS, self)

    async def diagnose(self) -> Sequence[Finding]:
        if isinstance(self.findings, Exception):
            raise self.findings
        return self.findings


def finders() -> tuple[list[Finder], PluginSpec[Settings]]:
    made: list[Finder] = []
    kind = type("Finder", (Finder,), {"made": made})
    return made, PluginSpec(Settings, kind, provides=(DIAGNOSIS,), requires=(OWN_ADDRESSES,))


def test_a_found_address_is_in_front_of_the_record_and_peers_are_told() -> None:
    async def main() -> None:
        net = SimNetwork()
        (made, spec), spec_b = finders(), ProtocolSpec("example.org/x", "1.0.0", on_request=lambda r: r.payload)
        platforms = net.platform(), net.platform()
        config = [{"node": {"extends": "local", "disable": OTHERS, "listen": [f"tcp://{p.ip}:0"]}} for p in platforms]
        async with (
            Node.open(config[0], protocols=[spec_b], plugins={"finder": spec}, platform=platforms[0]) as a,
            Node.open(config[1], protocols=[spec_b], platform=platforms[1]) as b,
        ):
            await b.connect(a.addresses[0])
            (finder,) = made
            bound, first = finder.own.bound, a.record
            assert bound == first.addresses and not first.is_client
            finder.own.advertise("finder", [MAPPED])
            assert a.record.addresses == (MAPPED, *bound) and a.record.sequence > first.sequence
            await asyncio.sleep(1)
            (session,) = (peer.session for peer in b.peers())
            assert session.record is not None and session.record.addresses == (MAPPED, *bound)
            told = [e.event for e in a.events.recent() if isinstance(e.event, AddressesChanged)]
            assert [event.addresses[0] for event in told] == [str(MAPPED.with_peer(a.peer_id))]
            second = a.record
            finder.own.advertise("finder", [MAPPED])
            assert a.record is second, "nothing has changed"
            finder.own.judge(False)
            assert a.record.is_client and a.record.sequence > second.sequence
            finder.own.advertise("finder", [])
            assert a.record.addresses == bound

    run(main(), seed=1)


def test_a_node_that_only_a_relay_leads_to_is_a_client() -> None:
    async def main() -> None:
        net = SimNetwork()
        made, spec = finders()
        platform = net.platform()
        config = {"node": {"extends": "local", "disable": OTHERS, "listen": []}}
        async with Node.open(config, plugins={"finder": spec}, platform=platform) as a:
            assert a.record.is_client
            made[0].own.advertise("finder", [Address("relay", "11.0.0.1", 4433, None, a.peer_id)])
            record = a.record
            assert record.is_client and len(record.addresses) == 1
            made[0].own.advertise("finder", [MAPPED])
            assert not a.record.is_client

    run(main(), seed=1)


def test_what_plugins_find_is_gathered_and_one_that_fails_is_a_finding() -> None:
    async def main() -> None:
        net = SimNetwork()
        (_, one_spec), (two, two_spec) = finders(), finders()
        config = {"node": {"extends": "local", "disable": OTHERS, "listen": []}}
        plugins = {"one": one_spec, "two": two_spec}
        async with Node.open(config, plugins=plugins, platform=net.platform()) as node:
            two[0].findings = RuntimeError("broken")
            good, bad = await node.host.diagnose()
            assert good == ("one", Finding("port mapping", "ok", "mapped", {"port": 4433}))
            assert (bad[0], bad[1].verdict) == ("two", "problem") and "broken" in bad[1].text

    run(main(), seed=1)
