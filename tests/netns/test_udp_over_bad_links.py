"""Sessions over `udp://` between two processes on a wire that loses packets, goes away, or changes an address."""

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peerkit import Address
from tests.netns.ends import Outcome
from tests.netns.namespaces import Namespace, missing, namespace_pair

ROOT = Path(__file__).parents[2]
OUTAGE_S = 2.5
NBYTES = 4 << 20  # there, and as much back
NEW_HOST, NEW_PORT = "10.78.0.9", 5_555
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


class Ends:
    """A process at each end of the wire; `a` sends to `b`, which gives everything back."""

    def __init__(
        self, a: Namespace, b: Namespace, server: "subprocess.Popen[str]", client: "subprocess.Popen[str]"
    ) -> None:
        self.a, self.b = a, b
        self._client = client
        self._port = Address.parse(_line(server)).port
        assert _line(client) == "ready"

    def begin(self, nbytes: int = NBYTES) -> Address:
        """Send half of it and wait; returns where the receiver sees the sender."""
        self._tell(f"udp://{self.b.host}:{self._port} {nbytes}")
        return Address.parse(_line(self._client))

    def go_on(self) -> None:
        """Send the rest."""
        self._tell("go on")

    def outcome(self) -> Outcome:
        return Outcome(**json.loads(_line(self._client)))

    def _tell(self, line: str) -> None:
        assert self._client.stdin is not None
        print(line, file=self._client.stdin, flush=True)


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextmanager
def process(end: Namespace, *words: str) -> "Iterator[subprocess.Popen[str]]":
    command = end.command(sys.executable, "-m", "tests.netns.ends", *words)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(scope="module")
def both() -> Iterator[Ends]:
    with (
        namespace_pair() as (a, b),
        process(b, "serve", "udp://0.0.0.0:0") as server,
        process(a, "transfer") as client,
    ):
        yield Ends(a, b, server, client)


@pytest.fixture
def ends(both: Ends) -> Ends:
    """With the wire as it was at first."""
    for end in (both.a, both.b):
        end.rules()
        end.use_address(end.host)
    return both


def is_whole(outcome: Outcome) -> bool:
    return not outcome.error and outcome.is_open and outcome.sent == outcome.received


def test_a_lost_packet_is_one_packet_and_not_a_batch(ends: Ends) -> None:
    """Of the wire itself: what the tests below say about loss would mean nothing otherwise."""
    batches, size = 100, 200
    ends.b.lose(50)
    with (
        ends.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as source,
        ends.b.socket(socket.AF_INET, socket.SOCK_DGRAM) as target,
    ):
        target.bind((ends.b.host, 0))
        target.setblocking(False)
        got = set()
        for batch in range(batches):
            numbers = [struct.pack("!I", 44 * batch + i).ljust(size, b"\0") for i in range(44)]
            segmented = (socket.IPPROTO_UDP, 103, struct.pack("=H", size))  # UDP_SEGMENT
            source.sendmsg([b"".join(numbers)], [segmented], 0, target.getsockname())
            try:
                while True:
                    got.add(int.from_bytes(target.recv(size)[:4], "big"))
            except BlockingIOError:
                pass
    lost = [i for i in range(44 * batches) if i not in got]
    bursts = sum(i - 1 in got for i in lost)
    assert ends.b.hits == len(lost) > 100
    assert len(lost) / bursts < 2


@pytest.mark.parametrize(("per_mille", "nbytes"), [(10, 2 << 20), (50, 1 << 20)], ids=["1 %", "5 %"])
def test_a_stream_is_whole_when_packets_are_lost_both_ways(ends: Ends, per_mille: int, nbytes: int) -> None:
    for end in (ends.a, ends.b):
        end.lose(per_mille)
    ends.begin(nbytes)
    ends.go_on()
    outcome = ends.outcome()
    assert is_whole(outcome), outcome
    assert min(ends.a.hits, ends.b.hits) > 3, "packets were lost in both directions"


def test_a_session_outlives_a_link_that_goes_away(ends: Ends) -> None:
    ends.begin()
    for end in (ends.a, ends.b):
        end.rules(input="counter name hits drop")
    ends.go_on()
    time.sleep(OUTAGE_S)  # the outage itself
    assert ends.b.hits > 0, "something was sent in vain"
    for end in (ends.a, ends.b):
        end.rules()
    outcome = ends.outcome()
    assert is_whole(outcome), outcome


def test_a_session_follows_its_peer_whose_nat_takes_another_address(ends: Ends) -> None:
    """The other side sees another address and port; the host itself notices nothing."""
    seen = ends.begin()
    ends.a.use_address(ends.a.host, NEW_HOST)
    ends.a.rules(
        postrouting=f"ip saddr {seen.host} udp sport {seen.port} ip saddr set {NEW_HOST} udp sport set {NEW_PORT}",
        prerouting=f"ip daddr {NEW_HOST} udp dport {NEW_PORT} ip daddr set {seen.host} udp dport set {seen.port}",
    )
    ends.go_on()
    outcome = ends.outcome()
    assert is_whole(outcome), outcome
    assert outcome.seen == f"udp://{NEW_HOST}:{NEW_PORT}"


@pytest.mark.parametrize("mover", ["dialer", "acceptor"])
def test_a_session_follows_a_host_that_changes_its_address(ends: Ends, mover: str) -> None:
    ends.begin()
    end = ends.a if mover == "dialer" else ends.b
    end.use_address(NEW_HOST)
    ends.go_on()
    outcome = ends.outcome()
    assert is_whole(outcome), outcome
    assert Address.parse(outcome.seen if mover == "dialer" else outcome.remote).host == NEW_HOST
