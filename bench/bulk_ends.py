"""Both ends of a bulk transfer that lasts a given time: `python -m bench.bulk_ends WHAT END ADDRESS [SECONDS]`.

`tcp`: the system's TCP with CUBIC, in clear.  `peerkit`: one stream of a session, encrypted, by the address's scheme.
The sender prints the bytes that the receiver counted, when it began, and when it knew that all were there.
"""

import asyncio
import socket
import sys
import time

CHUNK = bytes(256 * 1024)
NODE = {
    "extends": "local",
    "disable": ["discovery_kademlia", "search", "trust_denylist", "warehouse"],
}


def serve_tcp(address: str) -> None:
    host, port = address.rsplit(":", 1)
    with socket.create_server((host, int(port))) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                total = 0
                while chunk := connection.recv(1 << 20):
                    total += len(chunk)
                connection.sendall(str(total).encode())


def send_tcp(address: str, seconds: float) -> tuple[int, float, float]:
    host, port = address.rsplit(":", 1)
    with socket.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        connection.connect((host, int(port)))
        began_at = time.monotonic()
        while time.monotonic() < began_at + seconds:
            connection.sendall(CHUNK)
        connection.shutdown(socket.SHUT_WR)
        total = int(connection.recv(64))
        return total, began_at, time.monotonic()


async def serve_peerkit(address: str) -> None:
    from peerkit import Node, ProtocolSpec
    from peerkit.session import Stream

    async def count(stream: Stream) -> None:
        total = 0
        while chunk := await stream.read(1 << 20):
            total += len(chunk)
        await stream.write(str(total).encode())

    profile = {"node": {**NODE, "listen": [address]}}
    async with Node.open(profile, protocols=[ProtocolSpec("bench/bulk", "1.0", on_stream=count)]) as node:
        print(node.addresses[0], flush=True)
        await asyncio.Event().wait()


async def send_peerkit(address: str, seconds: float) -> tuple[int, float, float]:
    from peerkit import Node, ProtocolSpec

    profile = {"node": {**NODE, "listen": []}}
    async with Node.open(profile, protocols=[ProtocolSpec("bench/bulk", "1.0")]) as node:
        peer = await node.connect(address)
        stream = await peer.open_stream("bench/bulk")
        began_at = time.monotonic()
        while time.monotonic() < began_at + seconds:
            await stream.write(CHUNK)
        await stream.finish()
        total = int(await stream.read(64))
        return total, began_at, time.monotonic()


def main(what: str, end: str, address: str, seconds: str = "0") -> None:
    if what == "tcp":
        if end == "serve":
            serve_tcp(address)
        print(*send_tcp(address, float(seconds)))
    elif end == "serve":
        asyncio.run(serve_peerkit(address))
    else:
        print(*asyncio.run(send_peerkit(address, float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
