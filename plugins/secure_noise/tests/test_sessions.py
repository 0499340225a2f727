"""Whole nodes on the simulated network: private networks do not mix, and a node's identity is what its peers see."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import peerkit
from peerkit.errors import PeerkitError, TransportError
from peerkit.testing import SimNetwork, run

pytestmark = pytest.mark.simulation
KEY, OTHER = "11" * 32, "22" * 32


def profile(ip: str, **secure_noise: str) -> dict[str, object]:
    return {
        "node": {"network": "test", "listen": [f"tcp://{ip}:4433"], "enable": ["secure_noise", "transport_tcp"]},
        "plugins": {"secure_noise": secure_noise},
    }


def with_nodes(
    body: Callable[[peerkit.Node, peerkit.Node], Awaitable[None]], one: dict[str, str], other: dict[str, str]
) -> None:
    async def main() -> None:
        platforms = [SimNetwork().platform()]
        platforms.append(platforms[0].host.net.platform())
        async with (
            peerkit.Node.open(profile(platforms[0].ip, **one), platform=platforms[0]) as a,
            peerkit.Node.open(profile(platforms[1].ip, **other), platform=platforms[1]) as b,
        ):
            await body(a, b)

    run(main())


@pytest.mark.parametrize("setting", [{}, {"psk": KEY}])
def test_nodes_of_one_network_connect_and_prove_their_ids(setting: dict[str, str]) -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        by_address = b.addresses[0].without_peer()  # XX: nothing is known
        assert (await a.connect(by_address)).id == b.peer_id

    async def by_record(a: peerkit.Node, b: peerkit.Node) -> None:
        assert (await a.connect(b.record)).id == b.peer_id  # IK

    with_nodes(body, setting, setting)
    with_nodes(by_record, setting, setting)


@pytest.mark.parametrize(
    ("one", "other"),
    [({}, {"psk": KEY}), ({"psk": KEY}, {}), ({"psk": KEY}, {"psk": OTHER})],
    ids=["stranger to private", "private to public", "another key"],
)
def test_nodes_of_different_private_networks_do_not_connect(one: dict[str, str], other: dict[str, str]) -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        for target in (b.addresses[0].without_peer(), b.record):
            with pytest.raises(TransportError):
                await a.connect(target)
        assert a.peers() == b.peers() == ()

    with_nodes(body, one, other)


def test_a_key_file_that_is_missing_stops_the_node_and_is_named(tmp_path: Path) -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        raise AssertionError("the node must not start")

    missing = str(tmp_path / "missing")
    with pytest.raises(PeerkitError, match=r"psk_file: .*missing cannot be read: No such file"):
        with_nodes(body, {"psk_file": missing}, {})
