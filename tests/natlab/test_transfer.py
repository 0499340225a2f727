"""A file goes from one home to another while everything changes below it: from a relay to the direct path, another port
at one router, another uplink at the other.  Whoever fetches it sees progress and no error; only the events tell."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peerkit import Address
from peerkit.client import SyncClient
from peerkit.testing import NATS
from tests.natlab.laboratory import laboratory
from tests.natlab.nodes import PORT, LabNode, started
from tests.netns.space import missing

MIB = 1 << 20
SIZE = int(os.environ.get("TRANSFER_MIB", "40")) * MIB  # 40: it takes a minute on a machine that does much else
STEP = 2 * MIB  # so much over the direct path before something changes
UNTIL_S = 120.0
CONNECT_S = 20.0

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


class Fetching:
    """A `get` that runs.

    Attributes:
        done: bytes that are there.
        answer: what it came to.
        error: why it failed.
    """

    def __init__(self, node: LabNode, link: str, output: Path) -> None:
        self.done = 0
        self.answer: Any = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._fetch, args=(node, link, output))
        self._thread.start()

    def _fetch(self, node: LabNode, link: str, output: Path) -> None:
        try:
            with SyncClient.connect(node.data_dir) as client:
                self.answer = client.call("get", on_progress=self._progressed, id=link, output=str(output))
        except Exception as exc:
            self.error = exc

    def _progressed(self, progress: Any) -> None:
        self.done = int(progress.done)

    def join(self) -> None:
        self._thread.join()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait, while it runs."""
        until = time.monotonic() + UNTIL_S
        while not holds():
            assert self._thread.is_alive(), f"it ended before {what}: {self.error or self.answer}"
            assert time.monotonic() < until, f"after {UNTIL_S:g} s and {self.done:,} bytes not yet: {what}"
            time.sleep(0.1)

    def go_on(self, nbytes: int) -> None:
        """Until so many more are there."""
        enough = self.done + nbytes
        self.until(lambda: self.done >= enough, f"{nbytes:,} bytes more were there")


class Homes:
    """Attributes:
    public: a node on the internet: relay and coordinator.
    giver, taker: nodes behind port-restricted routers.
    """

    def __init__(self, public: LabNode, giver: LabNode, taker: LabNode) -> None:
        self.public, self.giver, self.taker = public, giver, taker

    def link(self, path: Path) -> str:
        """Share a file; the link leads over the relay, as there is no other way in."""
        until = time.monotonic() + UNTIL_S
        while not any(a.startswith("relay:") for a in self.public.peers()[self.giver.peer_id]["addresses"]):
            assert time.monotonic() < until, "no relay serves the giver"
            time.sleep(0.1)
        (shared,) = self.giver.ask("share", paths=[str(path)])
        link = str(shared["link"])
        assert link.count("at=") == link.count(f"at=relay%2B{self.giver.peer_id}@{self.public.peer_id}@") == 1
        return link

    def paths(self, of: LabNode) -> list[tuple[str, Address]]:
        """Kind and address of the paths over which one of them sent to the other, in order."""
        other = self.giver if of is self.taker else self.taker
        changes = [event["fields"] for event in of.ask("events", type="SessionPathsChanged")]
        return [(c["kind"], Address.parse(c["address"])) for c in changes if c["peer_id"] == other.peer_id]

    @property
    def relayed_bytes(self) -> int:
        """What the relay carried over the circuits that are there."""
        return sum(
            int(f["details"].get("carried_bytes", 0)) for f in self.public.ask("doctor") if f["topic"] == "relay"
        )


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Homes]:
    with laboratory() as lab:
        sites = [lab.site(), lab.site(NATS["port_restricted"]), lab.site(NATS["port_restricted"])]
        with started(sites, tmp_path, ["udp"], also=["warehouse"]) as nodes:
            for node in nodes:
                node.wait_until_ready()
            for node in nodes[1:]:
                node.connect_to(nodes[0], CONNECT_S)
            yield Homes(*nodes)


def test_a_transfer_survives_a_relay_a_rebinding_and_another_uplink(homes: Homes, tmp_path: Path) -> None:
    giver, taker = homes.giver, homes.taker
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    fetching = Fetching(taker, homes.link(source), target)

    def goes_over(kind: str, host: str, after: int) -> int:
        """Wait for a path; returns its number, which is greater than `after`."""

        def numbers() -> list[int]:
            paths = list(enumerate(homes.paths(taker)))
            return [i for i, (found, address) in paths if i > after and (found, address.host) == (kind, host)]

        fetching.until(lambda: bool(numbers()), f"{kind} by {host}, after {after} of {homes.paths(taker)}")
        return numbers()[0]

    def falls_back_and_becomes_direct() -> None:
        relayed = goes_over("relayed", homes.public.site.external, len(homes.paths(taker)) - 1)
        goes_over("direct", giver.site.external, relayed)

    assert goes_over("relayed", homes.public.site.external, -1) == 0
    goes_over("direct", giver.site.external, 0)
    assert homes.relayed_bytes > 0
    fetching.go_on(STEP)
    taker.site.rebind()
    falls_back_and_becomes_direct()
    moved = lambda: homes.paths(giver)[-1][0] == "direct" and homes.paths(giver)[-1][1].port != PORT  # noqa: E731
    fetching.until(moved, "the giver saw that the taker's router took another port")
    fetching.go_on(STEP)
    giver.site.change_uplink()
    falls_back_and_becomes_direct()
    fetching.join()
    assert fetching.error is None and (fetching.answer["size_bytes"], fetching.answer["sources"]) == (SIZE, 1)
    assert digest(target) == digest(source)
    assert homes.paths(taker)[-1][0] == "direct"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
