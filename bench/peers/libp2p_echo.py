"""py-libp2p's end of the request benchmark: `python -m bench.peers.libp2p_echo serve` or `ask ADDRESS BATCHES ROUNDS`.

TCP, Noise and Yamux, py-libp2p's own defaults.  One stream stays open for all requests: a stream for each would pay for
a negotiation of its protocol every time.  Peerkit, beside it, opens one for each request.
"""

import sys
import time

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamError
from libp2p.network.stream.net_stream import NetStream
from libp2p.peer.peerinfo import info_from_p2p_addr

PROTOCOL = TProtocol("/bench/echo/1.0.0")
BODY = b"x" * 64
BATCH = 50  # as long as 200 of the others


async def serve() -> None:
    host = new_host(key_pair=create_new_key_pair())

    async def echo(stream: NetStream) -> None:
        try:
            while True:
                await stream.write(await read_exactly(stream))
        except (StreamError, EOFError):
            await stream.close()

    async with host.run([multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        host.set_stream_handler(PROTOCOL, echo)
        address = str(host.get_addrs()[0])
        print(address if "/p2p/" in address else f"{address}/p2p/{host.get_id()}", flush=True)
        await trio.sleep_forever()


async def ask(address: str, batches: int, rounds: int) -> list[float]:
    """Requests a second of the best batch of each round."""
    host = new_host(key_pair=create_new_key_pair())
    info = info_from_p2p_addr(multiaddr.Multiaddr(address))
    rates = []
    async with host.run([multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        await host.connect(info)
        stream = await host.new_stream(info.peer_id, [PROTOCOL])
        for _ in range(rounds):
            rates.append(max([await batch(stream) for _ in range(batches)]))
        await stream.close()
    return rates


async def batch(stream: NetStream) -> float:
    """Requests a second."""
    began_at = time.perf_counter()
    for _ in range(BATCH):
        await stream.write(BODY)
        await read_exactly(stream)
    return BATCH / (time.perf_counter() - began_at)


async def read_exactly(stream: NetStream) -> bytes:
    data = b""
    while len(data) < len(BODY):
        part = await stream.read(len(BODY) - len(data))
        if not part:
            raise EOFError
        data += part
    return data


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        trio.run(serve)
    else:
        print(*trio.run(ask, sys.argv[2], int(sys.argv[3]), int(sys.argv[4])), flush=True)
