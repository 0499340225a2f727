"""`peerkit demo`: twelve real nodes find each other, share, search and fetch, and you watch.

Everything runs on this machine in a temporary folder: the sources of Python's standard library, which every machine
has, and one file of 64 MiB.  The last node starts when all is shared; it has met nobody but the bootstrap node.
"""

import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from .._control.wire import Json
from . import render
from .demo_network import DemoNetwork, DemoNode
from .progress_view import ProgressView

BIG_NAME = "northern lights over the fjord.mov"
BIG_BYTES = 64 * 1024 * 1024
BIG_WORDS = "fjord northern lights"
LIBRARY_WORDS = "events"
FIND_TIMEOUT_S = 60.0
SEARCH_TIMEOUT_S = 60.0
MIB = 1024 * 1024


class Story:
    """The timeline on the terminal."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()

    def tell(self, text: str) -> None:
        click.echo(f"{self.elapsed_s:6.1f} s  {text}")

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_at


def run(keep: bool = False, nodes: int = 12) -> int:
    """Play it; returns the exit status.

    Raises:
        PeerkitError: a node did not start, or something that must work did not.
    """
    folder = Path(tempfile.mkdtemp(prefix="peerkit-demo-"))
    folder.chmod(0o700)
    kept = False
    try:
        with DemoNetwork(folder, keep) as network:
            ok = _play(network, nodes)
            kept = keep and ok
            if kept:
                _tell_how_to_talk(network)
            network.keep = kept
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if ok else 1


def _play(network: DemoNetwork, count: int) -> bool:
    story = Story()
    story.tell(f"starting {count} nodes, each a process of its own")
    first = network.start("node01")
    network.wait_ready(first)
    others = [network.start(f"node{i:02}", first.address) for i in range(2, count)]
    for node in others:
        network.wait_ready(node)
    story.tell(f"{len(network.nodes)} nodes are ready; all they know is {first.address[:34]}…")
    met = _wait_until_found(network, story)
    publishers = (others or [first])[:4]
    files = _share_library(publishers, story)
    big = _share_big(network.folder, publishers[-1], story)

    seeker = network.start(f"node{count:02}", first.address, "node.slots.member_out=1")
    network.wait_ready(seeker)
    story.tell(f"{seeker.name} starts now; it has never met the publishers, and all it knows is {first.name}'s address")
    hits = _search(seeker, LIBRARY_WORDS, story)
    found = _search(seeker, BIG_WORDS, story, must_find=str(big["content_id"]))
    hops = _lookup_hops(seeker, publishers)
    if not any(hit["content_id"] == big["content_id"] for hit in found):
        story.tell("the big file was not found")
        return False
    got = _fetch(seeker, found[0], network.folder / "fetched", story)
    same = _sha256(Path(str(got["path"]))) == _sha256(network.folder / BIG_NAME)
    story.tell("hashes are equal" if same else "HASHES DIFFER")
    small = _fetch(seeker, hits[0], network.folder / "fetched", story) if hits else None

    click.echo()
    summary = [
        ("peers found", f"{min(met)} to {max(met)} per node, from one bootstrap address"),
        ("lookup hops", ", ".join(map(str, hops)) if hops else "not measured"),
        ("search hits", f"{len(hits)} for “{LIBRARY_WORDS}”, {len(found)} for “{BIG_WORDS}”, of {files + 1} files"),
        (
            "transfer",
            f"{render.rate(_number(got['bytes_per_s']))} for {render.size(BIG_BYTES)}, encrypted and verified",
        ),
        ("in all", f"{story.elapsed_s:.0f} s"),
    ]
    for name, value in summary:
        click.echo(f"  {name:<12} {value}")
    return same and small is not None


def _wait_until_found(network: DemoNetwork, story: Story) -> list[int]:
    """Until every node has as many peers as it can have here, or the deadline."""
    wanted = min(4, len(network.nodes) - 1)
    deadline = time.monotonic() + FIND_TIMEOUT_S
    while min(met := network.known_peers()) < wanted and time.monotonic() < deadline:
        time.sleep(0.25)
    story.tell(f"they found each other: {min(met)} to {max(met)} peers each")
    return met


def _share_library(publishers: Sequence[DemoNode], story: Story) -> int:
    """The standard library's modules, dealt out; returns how many files."""
    library = Path(sysconfig.get_paths()["stdlib"])
    packages = ("asyncio", "concurrent", "email", "http", "json", "logging", "sqlite3", "unittest", "urllib", "xml")
    files = sorted(library.glob("*.py")) + sorted(p for name in packages for p in (library / name).rglob("*.py"))
    files = [path for path in files if path.stat().st_size and "test" not in path.parts]
    for i, node in enumerate(publishers):
        share = files[i :: len(publishers)]
        shared = _call(node, "share", paths=share)
        story.tell(f"{node.name} shares {len(shared)} files of Python's standard library")
    return len(files)


def _share_big(folder: Path, node: DemoNode, story: Story) -> dict[str, Json]:
    path = folder / BIG_NAME
    with path.open("wb") as file:
        for _ in range(BIG_BYTES // MIB):
            file.write(os.urandom(MIB))
    (shared,) = _call(node, "share", paths=[path])
    story.tell(f"{node.name} shares “{BIG_NAME}”, {render.size(BIG_BYTES)}")
    return shared


def _search(node: DemoNode, words: str, story: Story, must_find: str = "") -> list[dict[str, Json]]:
    """Search; postings may still be on their way, so an empty answer is asked again for a while."""
    deadline = time.monotonic() + SEARCH_TIMEOUT_S
    while True:
        began_at = time.monotonic()
        hits = _call(node, "search", words=words.split())
        took_s = time.monotonic() - began_at
        complete = any(hit["content_id"] == must_find for hit in hits) if must_find else bool(hits)
        if complete or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    story.tell(f"{node.name} searches “{words}”: {render.counted(len(hits), 'hit')} in {took_s:.2f} s")
    for hit in hits[:3]:
        name, size = render.safe(str(hit["name"])), render.size(_number(hit["size_bytes"]))
        click.echo(f"            {name:<38} {size:>9}  of {str(hit['publisher'])[:10]}")
    return hits


def _lookup_hops(node: DemoNode, targets: Sequence[DemoNode]) -> list[int]:
    hops = []
    for target in targets:
        with node.client() as client:
            answer = client.call("dht.lookup", target=target.peer_id)
        if isinstance(answer, dict):
            hops.append(int(_number(answer["hops"])))
    return hops


def _fetch(node: DemoNode, hit: dict[str, Json], into: Path, story: Story) -> dict[str, Json]:
    """Fetch a hit; the link names its publisher, as the network may not know yet who provides what was just shared."""
    into.mkdir(exist_ok=True)
    link = f"peerkit:{hit['content_id']}?at={hit['publisher']}"
    view = ProgressView("get", plain_lines=False)
    try:
        with node.client() as client:
            answer = client.call("get", on_progress=view.show, id=link, output=into / str(hit["name"]), force=True)
    finally:
        view.close()
    assert isinstance(answer, dict)
    size, rate = render.size(_number(answer["size_bytes"])), render.rate(_number(answer["bytes_per_s"]))
    sources = render.counted(int(_number(answer["sources"])), "source")
    story.tell(f"{node.name} fetched {render.safe(str(hit['name']))}: {size} at {rate} from {sources}")
    return answer


def _tell_how_to_talk(network: DemoNetwork) -> None:
    last = network.nodes[-1]
    processes = " ".join(str(node.process.pid) for node in network.nodes)
    click.echo(f"\nThe network goes on. Data directories are in {network.folder}; talk to any node, for example:\n")
    for command in ("peers", f"search {LIBRARY_WORDS}", "status"):
        click.echo(f"  {_program()} --data-dir {last.data_dir} {command}")
    click.echo(f"\nEnd it with:\n\n  kill {processes}; sleep 5; rm -r {network.folder}")


def _program() -> str:
    """How this program is called from here."""
    program = Path(sys.argv[0]).absolute()
    found = shutil.which("peerkit")
    if program.name != "peerkit":
        return f"{sys.executable} -m peerkit"
    if found is not None and Path(found).samefile(program):
        return "peerkit"
    return os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program)


def _call(node: DemoNode, op: str, **args: object) -> list[dict[str, Json]]:
    """An operation whose answer is a list."""
    with node.client() as client:
        call: Callable[..., Json] = client.call
        answer = call(op, **args)
    assert isinstance(answer, list)
    return [item for item in answer if isinstance(item, dict)]


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
