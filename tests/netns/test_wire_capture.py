"""Two whole nodes share and fetch a file while somebody listens on the wire between them."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peerkit_secure_noise.identity_certificate import StaticKeys

from peerkit._io.identity_file import load
from peerkit.client import SyncClient
from peerkit.identity import Identity, PeerId
from peerkit.record import Signed
from peerkit.text_form import Kind, decode
from tests.netns.capture import capturing
from tests.netns.namespaces import Namespace, missing, namespace_pair
from tests.node_process import NodeProcess

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
MARKER = b"nobody but the two shall read this. "
NBYTES = 300_000  # several leaves of the content's tree
PROTOCOLS = {"udp": 17, "tcp": 6}  # IPv4's numbers
NAME = "minutes-of-the-meeting.txt"


@contextmanager
def up(end: Namespace, data_dir: Path, scheme: str) -> Iterator[None]:
    profile = data_dir.with_suffix(".toml")
    profile.write_text(f'[node]\nextends = "local"\nlisten = ["{scheme}://{end.host}:0"]\n')
    words = ("--data-dir", str(data_dir), "--profile", str(profile))
    process = NodeProcess(words, data_dir.with_suffix(".log"), end)
    try:
        assert process.stdout.readline().startswith("ready")
        yield
    finally:
        process.stop()
        process.kill()


def secrets_of(data_dir: Path) -> dict[str, bytes]:
    """What names a node: its id, and its handshake keys."""
    identity: Identity = load(data_dir / "identity")

    def sign(purpose: str, body: bytes) -> Signed:
        return Signed(body, bytes(64))

    keys = StaticKeys(identity.peer_id, identity.derive_secret, sign).accepted(time.time())
    static = {f"handshake key {i} of {data_dir.name}": key.pair.public for i, key in enumerate(keys)}
    return static | names_of(data_dir.name, identity.peer_id)


def names_of(node: str, peer_id: PeerId) -> dict[str, bytes]:
    return {f"id of {node}, raw": peer_id.raw, f"id of {node}, text": str(peer_id).encode()}


def answer(data_dir: Path, operation: str, **arguments: Any) -> Any:
    with SyncClient.connect(data_dir) as client:
        return client.call(operation, **arguments)


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_listener_on_the_wire_learns_no_content_and_no_id(scheme: str, tmp_path: Path) -> None:
    a_dir, b_dir, source, target = (tmp_path / name for name in ("a", "b", NAME, "fetched.txt"))
    source.write_bytes((MARKER * (NBYTES // len(MARKER) + 1))[:NBYTES])
    with namespace_pair() as (a, b):
        with capturing(a) as capture:
            with up(b, b_dir, scheme), up(a, a_dir, scheme):
                (shared,) = answer(b_dir, "share", paths=[str(source)])
                answer(a_dir, "get", id=shared["link"], output=str(target))
            say_in_clear(a, b)
        assert target.read_bytes() == source.read_bytes()
    assert capture.nbytes(PROTOCOLS[scheme]) > NBYTES, "the session was on this wire"
    content_id = shared["content_id"]
    hidden = {
        "the content": MARKER,
        "the file's name": NAME.encode(),
        "the content id, raw": decode(Kind.CONTENT, content_id),
        "the content id, text": content_id.encode(),
        **secrets_of(a_dir),
        **secrets_of(b_dir),
    }
    assert [what for what, secret in hidden.items() if capture.holds(secret)] == []


def say_in_clear(a: Namespace, b: Namespace) -> None:
    with a.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"this is in clear", (b.host, 9))
