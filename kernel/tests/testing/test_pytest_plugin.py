"""The fixtures, used as a third party's tests use them: in a pytest of their own."""

import re
from collections.abc import Callable

import pytest

pytest_plugins = ["pytester"]

HEAD = """
import asyncio
from peerkit import ProtocolSpec
from peerkit.testing import SimNetwork, FakeClock

ECHO = ProtocolSpec("example.org/echo", "1.0.0", on_request=lambda request: request.payload)
PROFILE = {"node": {"extends": "local", "disable": ["discovery_kademlia", "search", "warehouse", "transport_udp"]}}
"""


Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEERKIT_SEED", raising=False)

    def run(text: str, *words: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)

    return run


def test_nodes_talk_under_virtual_time_and_stop_with_their_test(run: Run) -> None:
    result = run(
        """
nodes = []

async def test_two(two_nodes):
    a, b = await two_nodes(PROFILE, protocols=[ECHO])
    nodes.append(a)
    peer = await a.connect(b.addresses[0])
    await asyncio.sleep(3_600)
    assert await peer.request(ECHO.id, b"hello") == b"hello"

def test_they_are_stopped():
    assert not nodes[0].peers()

async def test_more(swarm, net):
    assert isinstance(net, SimNetwork)
    nodes = await swarm(4, PROFILE)
    await asyncio.sleep(30)
    assert all(node.peers() for node in nodes)

def test_time(clock):
    assert isinstance(clock, FakeClock)
"""
    )
    result.assert_outcomes(passed=4)


def test_a_failure_tells_its_seed_and_the_seed_repeats_it(run: Run) -> None:
    text = """
async def test_chance(net):
    raise AssertionError(f"drawn {net.rng.random()}")
"""
    drawn = []
    for seed in ("7", "7", "8"):
        result = run(text, "--peerkit-seed", seed)
        result.assert_outcomes(failed=1)
        assert f"peerkit: seed {seed}" in result.stdout.str() and f"seed {seed}" in result.stdout.str()
        found = re.search(r"drawn ([\d.e-]+)", result.stdout.str())
        assert found is not None
        drawn.append(found[1])
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_cannot_work_is_told(run: Run) -> None:
    result = run("def test_plain(net): pass")
    result.assert_outcomes(failed=1)
    assert "test_plain uses net and must be `async def`" in result.stdout.str()
    assert "'x' is neither a number nor `random`" in run("", "--peerkit-seed", "x").stderr.str()
