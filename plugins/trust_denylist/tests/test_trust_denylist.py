"""The plugin under virtual time: real nodes and handshakes on the simulated network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from peerkit_trust_denylist.adapter import TrustDenyList
from peerkit_trust_denylist.operations import AllowedAnswer, AllowRequest, DeniedAnswer, DenyRequest
from peerkit_trust_denylist.plugin import plugin
from peerkit_trust_denylist.settings import DenyListSettings

from peerkit import Node, ProtocolSpec
from peerkit.errors import ConfigError, NotFound, PeerkitError, UsageError
from peerkit.operation import Nothing
from peerkit.testing import FakePluginContext, SimNetwork, run


class NoCall:
    """Nobody watches the progress."""

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None: ...
    def item(self, value: object) -> None: ...


CALL = NoCall()


async def made(net: SimNetwork, ip: str, *deny: str) -> TrustDenyList:
    """The plugin on one simulated host; a second one there finds the database of the first."""
    ctx = FakePluginContext(DenyListSettings(deny=deny), net.platform(ip), name="trust_denylist", spec=plugin)
    obj = plugin.factory(ctx)
    assert isinstance(obj, TrustDenyList)
    ctx.started()
    await obj.start()
    return obj


async def rules(obj: TrustDenyList) -> list[str]:
    return [row.rule for row in await obj.show(Nothing(), CALL)]


def test_rules_outlive_a_restart_and_removed_ones_do_not() -> None:
    async def main() -> None:
        net = SimNetwork()
        first = await made(net, "10.0.0.1", "198.51.100.0/24")
        await first.deny(DenyRequest(rules=("192.0.2.1", "203.0.113.0/24"), reason="spam"), CALL)
        await first.allow(AllowRequest(rules=("203.0.113.0/24",)), CALL)
        second = await made(net, "10.0.0.1")
        assert await rules(second) == ["192.0.2.1"]
        assert (await second.show(Nothing(), CALL))[0].reason == "spam"

    run(main())


def test_allow_names_what_still_denies() -> None:
    async def main() -> None:
        obj = await made(SimNetwork(), "10.0.0.1", "192.0.2.0/24")
        await obj.deny(DenyRequest(rules=("192.0.2.1",)), CALL)
        answer = await obj.allow(AllowRequest(rules=("192.0.2.1",)), CALL)
        assert answer == [AllowedAnswer(rule="192.0.2.1", still_denied_by="192.0.2.0/24")]
        with pytest.raises(NotFound, match=r"it is denied by 192\.0\.2\.0/24"):
            await obj.allow(AllowRequest(rules=("192.0.2.1",)), CALL)
        with pytest.raises(UsageError, match=r"plugins\.trust_denylist\.deny"):
            await obj.allow(AllowRequest(rules=("192.0.2.0/24",)), CALL)

    run(main())


def test_one_wrong_rule_changes_nothing() -> None:
    async def main() -> None:
        obj = await made(SimNetwork(), "10.0.0.1")
        with pytest.raises(UsageError):
            await obj.deny(DenyRequest(rules=("192.0.2.1", "nonsense")), CALL)
        assert await rules(obj) == []

    run(main())


PROFILE = {"node": {"enable": ["secure_noise", "transport_tcp", "trust_denylist"], "network": "test"}}
ECHO = ProtocolSpec("example.org/echo", "1.0.0", on_request=lambda request: request.payload)


@asynccontextmanager
async def node(net: SimNetwork, ip: str, data: Path, deny: Sequence[str] = ()) -> AsyncIterator[Node]:
    top: Mapping[str, object] = {
        "node": {"listen": [f"tcp://{ip}:4000"]},
        "plugins": {"trust_denylist": {"deny": list(deny)}},
    }
    async with Node.open(PROFILE, data_dir=data / ip, protocols=[ECHO], settings=top, platform=net.platform(ip)) as it:
        yield it


async def deny(at: Node, *rules: str) -> Sequence[DeniedAnswer]:
    handler = at.operations.get("trust.deny").operation.handler
    answer = await handler(DenyRequest(rules=rules), CALL)
    assert isinstance(answer, list)
    return answer


def test_denied_peer_is_left_and_cannot_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        async with node(net, "10.0.0.1", tmp_path) as a, node(net, "10.0.0.2", tmp_path) as b:
            peer = await a.connect(b.addresses[0])
            assert await peer.request("example.org/echo", b"hi") == b"hi"
            answer = await deny(a, str(b.peer_id))
            assert [row.left for row in answer] == [1]
            assert a.peers() == ()
            with pytest.raises(PeerkitError):
                await a.connect(b.addresses[0])
            await asyncio.sleep(5)  # the refused side learns it with the next round trip
            assert b.peers() == ()
            with contextlib.suppress(PeerkitError):  # without our record its dial ends before our refusal arrives
                await b.connect(a.addresses[0])
            assert a.peers() == ()
            await asyncio.sleep(5)
            assert b.peers() == ()

    run(main(), max_virtual_s=300)


def test_denied_network_of_the_profile_gets_no_session(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        async with node(net, "10.0.0.1", tmp_path, ["10.0.0.2"]) as a, node(net, "10.0.0.2", tmp_path) as b:
            with pytest.raises(PeerkitError):
                await b.connect(a.addresses[0])
            assert a.peers() == ()
            assert b.peers() == ()

    run(main(), max_virtual_s=300)


def test_wrong_rule_in_the_profile_is_named_with_its_path(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=r"plugins\.trust_denylist\.deny\[0\]: '10\.0\.0\.2/8' is no network"):
            async with node(SimNetwork(), "10.0.0.1", tmp_path, ["10.0.0.2/8"]):
                pass

    run(main())
