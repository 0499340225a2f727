"""Dials a running node from an environment where only wheels are installed, and prints what comes of it as JSON.

    python talk.py ADDRESS…

As a node with the same plugins to each address in turn, then as one with another security to the first.
"""

import asyncio
import json
import sys

from greeter import codec as greeter  # type: ignore[import-not-found]  # only there
from packed_tally import PROTOCOL, decode_answer, encode_numbers  # type: ignore[import-not-found]

from peerkit import Address, Node
from peerkit.errors import PeerkitError
from peerkit.session import RemoteFailure

LIKE_THE_OTHER = {
    "extends": "local",
    "enable": ["signed_keys", "packed_tally", "greeter"],
    "disable": ["secure_noise"],
}


async def talk(address: Address) -> dict[str, object]:
    async with Node.open({"node": LIKE_THE_OTHER}) as node:
        peer = await node.connect(address, 60)
        answer = greeter.decode_answer(await peer.request("greeter", greeter.encode_greeting("Ada"), 60))
        tally = decode_answer(await peer.request(PROTOCOL, encode_numbers([1, -2, 40]), 60))
        refused = ""
        try:
            await peer.request(PROTOCOL, b"no number", 60)
        except RemoteFailure as exc:
            refused = str(exc)
        return {
            "transport": peer.session.transport,
            "protocols": list(peer.protocols),
            "greeting": answer.text,
            "tally": tally,
            "refused": refused,
        }


async def fail(address: Address) -> str:
    async with Node.open({"node": {"extends": "local", "enable": ["packed_tally"]}}) as node:
        try:
            await node.connect(address, 60)
        except PeerkitError as exc:
            return str(exc)
    return ""


async def main(*addresses: Address) -> None:
    talks = [await talk(address) for address in addresses]
    print(json.dumps({"talks": talks, "stranger": await fail(addresses[0])}))


if __name__ == "__main__":
    asyncio.run(main(*map(Address.parse, sys.argv[1:])))
