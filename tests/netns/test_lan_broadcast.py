"""Nodes of the preset `lan` on a real switch: nobody is told an address, and all meet."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from peerkit_lan_broadcast.beacon import KEY_LABEL, RANDOM_BYTES, Beacon
from peerkit_lan_broadcast.settings import DEFAULT_PORT
from peerkit_secure_noise.network_key import NoiseNetworkKey

from peerkit.client import SyncClient
from peerkit.record import network_id
from tests.netns.namespaces import DEVICE, Namespace, missing
from tests.netns.switch import Switch, switch
from tests.node_process import NodeProcess

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
PROFILE = """
[node]
extends = "lan"
disable = ["discovery_kademlia", "search", "warehouse"]
listen = {listen}
"""
IPV4 = ("tcp://0.0.0.0:0", "udp://0.0.0.0:0")
IPV6 = ("udp://[::]:0",)
MEET_S = 60.0  # two beacons lost and a busy machine
FORGED_TTL = 254


@contextmanager
def up(ends: Sequence[Namespace], folder: Path, listen: Sequence[str] = IPV4) -> Iterator[list[Path]]:
    """The data directories of nodes at these ends, which have started side by side."""
    profile = folder / "profile.toml"
    profile.write_text(PROFILE.format(listen=list(listen)).replace("'", '"'))
    nodes = [folder / str(i) for i in range(len(ends))]
    with ExitStack() as stack:
        processes = []
        for end, node in zip(ends, nodes, strict=True):
            words = ("--data-dir", str(node), "--profile", str(profile))
            processes.append(NodeProcess(words, node.with_suffix(".log"), end))
            stack.callback(processes[-1].kill)
        for process in processes:
            assert process.stdout.readline().startswith("ready")
        yield nodes


def answer(node: Path, operation: str) -> Any:
    with SyncClient.connect(node) as client:
        return client.call(operation)


def until_all_meet(nodes: Sequence[Path]) -> list[Any]:
    """Wait until each has all others as peers; returns what the first says of its own."""
    until = time.monotonic() + MEET_S
    while time.monotonic() < until:
        peers = [answer(node, "peers") for node in nodes]
        if all(len(found) == len(nodes) - 1 for found in peers):
            return list(peers[0])
        time.sleep(0.3)
    pytest.fail(f"after {MEET_S:g} s the nodes have {[len(found) for found in peers]} peers")


def figures(node: Path) -> dict[str, int]:
    """What the node counted."""
    (finding,) = (finding for finding in answer(node, "doctor") if finding["topic"] == "LAN")
    return dict(finding["details"])


@pytest.fixture(scope="module")
def lan() -> Iterator[Switch]:
    with switch(3) as made:
        yield made


def test_three_hosts_and_two_nodes_on_one_of_them_all_meet(lan: Switch, tmp_path: Path) -> None:
    ends = [lan.hosts[0], lan.hosts[0], lan.hosts[1], lan.hosts[2]]
    with up(ends, tmp_path) as nodes:
        peers = until_all_meet(nodes)
        assert {peer["path"] for peer in peers} == {"lan"}


def test_two_nodes_on_a_host_without_any_network_meet(tmp_path: Path) -> None:
    with switch(1) as alone:
        alone.unplug(0)
        with up([alone.hosts[0]] * 2, tmp_path) as nodes:
            until_all_meet(nodes)


def test_nodes_meet_over_ipv6_alone(lan: Switch, tmp_path: Path) -> None:
    for host in lan.hosts[:2]:
        # the system gives it a link-local address when it comes up
        host.ip(f"address flush dev {DEVICE}", f"link set {DEVICE} down", f"link set {DEVICE} up")
    try:
        with up(lan.hosts[:2], tmp_path, IPV6) as nodes:
            (peer,) = until_all_meet(nodes)
            assert peer["transport"] == "udp" and "[fe80::" in " ".join(peer["addresses"])
    finally:
        for host in lan.hosts[:2]:
            host.ip(f"address add {host.host}/24 dev {DEVICE}")


def test_an_interface_that_appears_later_is_used(lan: Switch, tmp_path: Path) -> None:
    late = lan.hosts[1]
    late.ip(f"link set {DEVICE} down")
    try:
        with up([lan.hosts[0], late], tmp_path) as nodes:
            assert [answer(node, "peers") for node in nodes] == [[], []]
            late.ip(f"link set {DEVICE} up")
            until_all_meet(nodes)
    finally:
        late.ip(f"link set {DEVICE} up")


def test_off_link_and_forged_beacons_are_dropped_and_counted(lan: Switch, tmp_path: Path) -> None:
    target, stranger = lan.hosts[0], lan.hosts[2]
    key = NoiseNetworkKey(network_id("lan"), None).derive(KEY_LABEL)
    beacon = Beacon("tcp", 9, os.urandom(RANDOM_BYTES)).to_bytes(key, time.time())
    with up([target], tmp_path) as (node,), stranger.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, FORGED_TTL)
        before = figures(node)
        sock.sendto(beacon, (target.host, DEFAULT_PORT))
        wait_for(node, "routed", before["routed"] + 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        sock.sendto(bytes(32), (target.host, DEFAULT_PORT))
        wait_for(node, "refused", before["refused"] + 1)
        stranger.ip(f"address add 172.20.0.1/24 dev {DEVICE}")
        try:
            with stranger.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                elsewhere.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
                elsewhere.bind(("172.20.0.1", 0))
                elsewhere.sendto(beacon, (target.host, DEFAULT_PORT))
                wait_for(node, "routed", before["routed"] + 2)
        finally:
            stranger.ip(f"address del 172.20.0.1/24 dev {DEVICE}")
        sock.sendto(beacon, (target.host, DEFAULT_PORT))  # and what is wrong with none of the others is accepted
        wait_for(node, "accepted", before["accepted"] + 1)


def wait_for(node: Path, figure: str, wanted: int) -> None:
    until = time.monotonic() + 15
    while (found := figures(node))[figure] != wanted:
        assert time.monotonic() < until, f"{figure} is not {wanted}: {found}"
        time.sleep(0.1)
