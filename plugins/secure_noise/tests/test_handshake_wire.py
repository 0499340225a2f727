"""The bytes on the wire, and the secrets that come of them, never change by accident."""

import json
from pathlib import Path

import pytest
from peerkit_secure_noise import pre_shared_key

from plugins.secure_noise.tests.nodes import NETWORK, initiate, node, respond, results, run

GOLDEN: dict[str, dict[str, str | list[str]]] = json.loads(
    (Path(__file__).parent / "data/golden_handshakes.json").read_text()
)


def handshake(name: str) -> dict[str, str | list[str]]:
    """Nodes 1 and 2 with the ephemeral keys of their seeds."""
    psk = pre_shared_key.from_key(bytes(range(32)), NETWORK) if name.endswith("psk0") else None
    a, b = node(1, psk), node(2, psk)
    initiator, responder = initiate(a, b if name.startswith("IK") else None), respond(b)
    messages = [message.hex() for message in run(initiator, responder)]
    result, _ = results(initiator, responder)
    return {
        "messages": messages,
        "send_secret": result.send_secret.hex(),
        "receive_secret": result.receive_secret.hex(),
        "transcript_hash": result.transcript_hash.hex(),
        "export_secret": result.export_secret.hex(),
    }


@pytest.mark.parametrize("name", ["IK", "XX", "IKpsk0", "XXpsk0"])
def test_handshake_bytes_never_change(name: str) -> None:
    assert handshake(name) == GOLDEN[name]
