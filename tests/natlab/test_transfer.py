"""Files go from one home to another while everything changes below them: from a relay to the direct path, another port
at one router, another uplink at the other.  Whoever fetches sees progress and no error; only the events tell."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
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
SIZE = int(os.environ.get("TRANSFER_MIB", "40")) * MIB  # of a file; one is enough unless the machine does much else
STEP = 2 * MIB  # so much over the direct path before something changes
UNTIL_S = 120.0
CONNECT_S = 20.0

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


class Fetching:
    """`get`s that run, one after the other.

    Attributes:
        done: bytes that are there.
        answers: what they came to.
        error: why one failed.
    """

    def __init__(self, node: LabNode, files: Iterator[tuple[str, Path]]) -> None:
        self.done = 0
        self.answers: list[Any] = []
        self.error: Exception | None = None
        self._enough = False
        self._thread = threading.Thread(target=self._fetch, args=(node, files))
        self._thread.start()

    def _fetch(self, node: LabNode, files: Iterator[tuple[str, Path]]) -> None:
        try:
            with SyncClient.connect(node.data_dir) as client:
                while not self._enough:
                    link, output = next(files)
                    answer = client.call("get", on_progress=self._progressed, id=link, output=str(output))
                    self.answers.append(answer)
        except Exception as exc:
            self.error = exc

    def _progressed(self, progress: Any) -> None:
        self.done = len(self.answers) * SIZE + int(progress.done)

    def end(self) -> None:
        """Wait for the one that runs."""
        self._enough = True
        self._thread.join()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait, while it runs."""
        until = time.monotonic() + UNTIL_S
        while not holds():
            assert self._thread.is_alive(), f"it ended before {what}: {self.error}"
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
    fetching = Fetching(taker, files(homes, tmp_path))

    def is_direct() -> bool:
        """Both ends send over the path between the routers' present addresses."""
        ends = [(giver, taker.site.external), (taker, giver.site.external)]
        return all((p := homes.paths(of)) and (p[-1][0], p[-1][1].host) == ("direct", host) for of, host in ends)

    fetching.until(lambda: bool(homes.paths(taker)), "they met")
    assert homes.paths(taker)[0][0] == "relayed"
    fetching.until(is_direct, "they met directly")
    assert homes.relayed_bytes > 0
    fetching.go_on(STEP)

    changes = len(homes.paths(taker))
    taker.site.rebind()
    fetching.until(lambda: len(homes.paths(taker)) > changes and is_direct(), "direct after the rebinding")
    fetching.until(
        lambda: is_direct() and homes.paths(giver)[-1][1].port != PORT,
        "the giver saw that the taker's router took another port",
    )
    fetching.go_on(STEP)

    giver.site.change_uplink()
    fetching.until(is_direct, f"direct by {giver.site.external}")
    fetching.go_on(STEP)
    fetching.end()
    assert fetching.error is None and fetching.answers
    for i, answer in enumerate(fetching.answers):
        assert (answer["size_bytes"], answer["sources"]) == (SIZE, 1)
        assert digest(tmp_path / f"target{i}") == digest(tmp_path / f"source{i}")


def files(homes: Homes, folder: Path) -> Iterator[tuple[str, Path]]:
    """Link and output of file after file, shared as they are asked for."""
    for i in count():
        source = folder / f"source{i}"
        with source.open("wb") as file:
            for _ in range(SIZE // MIB):
                file.write(os.urandom(MIB))
        yield homes.link(source), folder / f"target{i}"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
