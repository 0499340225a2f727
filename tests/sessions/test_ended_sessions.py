"""What an ended session leaves: no key waits for the garbage collector."""

import asyncio
import gc
from collections import Counter

import pytest

from peerkit import ProtocolSpec, Request
from peerkit.errors import PeerkitError
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import open_node

ECHO = "example.org/echo"
FREED = ("AeadProtection", "CipherState", "HandshakeState", "SymmetricState")


def _echo(request: Request) -> bytes:
    return request.payload


def _held() -> Counter[str]:
    names = (type(thing).__name__ for thing in gc.get_objects())
    return Counter(name for name in names if name in FREED)


@pytest.mark.parametrize("by_dialer", [True, False])
def test_keys_of_ended_sessions_are_freed_without_the_collector(by_dialer: bool) -> None:
    async def main() -> None:
        net = SimNetwork()
        spec = ProtocolSpec(ECHO, "1.0.0", on_request=_echo)
        async with open_node(net, spec) as a, open_node(net, spec) as b:
            gc.collect()
            gc.disable()
            try:
                before = _held()
                for _ in range(3):
                    peer = await a.connect(b.addresses[0])
                    assert await peer.request(ECHO, b"hello") == b"hello"
                    assert _held() != before
                    ending = peer if by_dialer else b.peers()[0]
                    await ending.session.close()
                    del peer, ending
                    await asyncio.sleep(1)
                    assert not a.peers() + b.peers()
                assert _held() == before
            finally:
                gc.enable()

    run(main(), seed=1)


def test_a_lost_connection_frees_its_keys_too() -> None:
    async def main() -> None:
        net = SimNetwork()
        spec = ProtocolSpec(ECHO, "1.0.0", on_request=_echo)
        async with open_node(net, spec) as a:
            gc.collect()
            gc.disable()
            try:
                before = _held()
                platform = net.platform()
                async with open_node(net, spec, platform=platform) as b:
                    peer = await a.connect(b.addresses[0])
                    net.crash(platform.ip)
                    with pytest.raises(PeerkitError):
                        await peer.request(ECHO, b"hello?", timeout_s=2)
                    del peer
                await asyncio.sleep(120)
                assert not a.peers()
                left = _held() - before
                assert left["AeadProtection"] <= 2, "of the crashed end, which nobody told"
            finally:
                gc.enable()

    run(main(), seed=1)
