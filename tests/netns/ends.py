"""The processes at both ends of a wire: `python -m tests.netns.ends serve ADDRESS` and `… transfer`.

`serve` prints the addresses where it listens, gives back every byte of a stream, and tells who asks from where it is
seen.  `transfer` reads lines `ADDRESS NBYTES`: it sends so many random bytes on one stream of a new session and reads
what comes back at the same time; half-way it prints its address as the other side sees it, and waits for a line; in the
end it prints a JSON object, see `Outcome`.
"""

import asyncio
import hashlib
import json
import random
import sys
from dataclasses import asdict, dataclass

from peerkit import Node, Peer, ProtocolSpec, Stream
from peerkit.errors import PeerkitError
from peerkit.protocol import Request

ECHO, WHERE = "test/echo", "test/where"
CHUNK_BYTES = 1 << 16
CONNECT_S = 60.0  # packets get lost, and the machine may be busy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transfer came to.

    Attributes:
        sent, received: SHA-256 of the bytes there and back.
        is_open: whether the session that began it is the peer's session still, and open.
        seen: our address as the other side sees it now.
        remote: the other side's address as we see it now.
        error: why it failed; then nothing else is set.
    """

    sent: str = ""
    received: str = ""
    is_open: bool = False
    seen: str = ""
    remote: str = ""
    error: str = ""


async def echo(stream: Stream) -> None:
    while data := await stream.read(CHUNK_BYTES):
        await stream.write(data)
    await stream.finish()


def seen(request: Request) -> bytes:
    return str(request.session.remote).encode()


def protocols() -> list[ProtocolSpec]:
    return [
        ProtocolSpec(ECHO, "1.0.0", on_stream=echo),
        ProtocolSpec(WHERE, "1.0.0", on_request=seen),
    ]


def profile(*listen: str) -> dict[str, object]:
    return {"node": {"network": "test", "listen": list(listen), "enable": ["secure_noise", "transport_udp"]}}


async def serve(address: str) -> None:
    async with Node.open(profile(address), protocols=protocols()) as node:
        print(node.addresses[0], flush=True)
        await asyncio.Event().wait()


async def transfers() -> None:
    async with Node.open(profile(), protocols=protocols()) as node:
        print("ready", flush=True)
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            try:
                peer = await node.connect(words[0], CONNECT_S)
                try:
                    outcome = await transfer(peer, int(words[1]))
                finally:
                    await peer.close()
            except PeerkitError as exc:
                outcome = Outcome(error=str(exc))
            print(json.dumps(asdict(outcome)), flush=True)


async def transfer(peer: Peer, nbytes: int) -> Outcome:
    session = peer.session
    where = (await session.request(WHERE, b"", CONNECT_S)).decode()
    stream = await session.open_stream(ECHO)
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def send() -> None:
        chance = random.Random(nbytes)
        for at in range(0, nbytes, CHUNK_BYTES):
            if at == nbytes // 2 // CHUNK_BYTES * CHUNK_BYTES:
                print(where, flush=True)
                await asyncio.to_thread(sys.stdin.readline)
            data = chance.randbytes(min(CHUNK_BYTES, nbytes - at))
            sent.update(data)
            await stream.write(data)
        await stream.finish()

    sending = asyncio.create_task(send())
    try:
        while data := await stream.read(CHUNK_BYTES):
            received.update(data)
        await sending
    finally:
        sending.cancel()
    where = (await session.request(WHERE, b"", CONNECT_S)).decode()
    is_open = session.is_open and peer.session is session
    return Outcome(sent.hexdigest(), received.hexdigest(), is_open, where, str(session.remote))


def main(what: str, address: str = "") -> None:
    asyncio.run(serve(address) if what == "serve" else transfers())


if __name__ == "__main__":
    main(*sys.argv[1:])
