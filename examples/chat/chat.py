"""A chat of rooms and direct messages: one protocol, and a terminal.

    python chat.py NAME [--connect ADDRESS] [--data-dir DIR] [--profile FILE]

What the network brings is hostile: lengths first, then the form, and no character that a terminal would obey.
"""

import argparse
import asyncio
import json
import sys
import threading
from pathlib import Path

from peerkit import Node, Peer, PeerId, ProtocolSpec, Request
from peerkit.errors import PeerkitError, RemoteProtocolError

PROTOCOL = "example.org/chat"
MAX_BYTES = 4_096
MAX_PEOPLE = 1_000
HELP = "/join ROOM · /to NAME WORDS · /who · /connect ADDRESS · /quit"


def encode(name: str, text: str, room: str = "") -> bytes:
    """`room` is empty in a direct message; `text` is empty when somebody only says who they are."""
    return json.dumps({"name": name, "room": room, "text": text}).encode()


def decode(data: bytes) -> tuple[str, str, str]:
    """(name, room, text), safe to print.  Raises `RemoteProtocolError`."""
    try:
        message = json.loads(data)
        values = [message[key] for key in ("name", "room", "text")]
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise RemoteProtocolError("a message of the chat is malformed") from exc
    if not all(isinstance(value, str) for value in values):
        raise RemoteProtocolError("a message of the chat holds something other than text")
    name, room, text = ("".join(c if c.isprintable() else "·" for c in value) for value in values)
    return name[:32] or "nobody", room[:32], text


class Chat:
    """One person at one terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._room = "lobby"
        self._names: dict[PeerId, str] = {}  # who is here, as they call themselves

    @property
    def protocol(self) -> ProtocolSpec:
        return ProtocolSpec(
            PROTOCOL, "1.0.0", on_peer=self._on_peer, on_message=self._on_message, max_request_bytes=MAX_BYTES
        )

    async def run(self, node: Node, lines: "asyncio.Queue[str | None]") -> None:
        """Until `/quit` or the end of the input."""
        print(f"you are {self._name} in {self._room}; {HELP}")
        for address in node.addresses:
            print(f"others reach you with: --connect {address}")
        while (line := await lines.get()) is not None:
            try:
                if line == "/quit":
                    return
                if line:
                    await self._obey(node, line)
            except PeerkitError as exc:
                print(f"! {exc}")

    async def _obey(self, node: Node, line: str) -> None:
        word, _, rest = line.partition(" ")
        match word:
            case "/join" if rest:
                self._room = rest[:32]
                print(f"you are in {self._room}")
            case "/who":
                for peer in node.peers():
                    print(f"{self._names.get(peer.id)}  {peer.id.short}  over {peer.session.transport}")
            case "/connect" if rest:
                await node.connect(rest)
            case "/to" if " " in rest:
                name, _, text = rest.partition(" ")
                found = [peer for peer in node.peers() if name in (self._names.get(peer.id), peer.id.short)]
                if len(found) != 1:
                    print(f"! {len(found)} people are called {name}: /who tells, and an id is a name too")
                for peer in found if len(found) == 1 else ():
                    await peer.send(PROTOCOL, encode(self._name, text))
            case _ if line.startswith("/"):
                print(HELP)
            case _:
                await node.pool.broadcast(PROTOCOL, encode(self._name, line, self._room))

    async def _on_peer(self, peer: Peer) -> None:
        """A task for everybody who is here; it is cancelled when they leave."""
        self._names.setdefault(peer.id, "nobody")  # what they say of themselves may come first
        try:
            await peer.send(PROTOCOL, encode(self._name, ""))
            await asyncio.Event().wait()
        finally:
            print(f"- {self._names.pop(peer.id)} left")

    def _on_message(self, request: Request) -> None:
        name, room, text = decode(request.payload)
        peer_id = request.session.peer_id
        if self._names.get(peer_id) != name and len(self._names) < MAX_PEOPLE:
            self._names[peer_id] = name
            print(f"+ {name} is here ({peer_id.short}: the id is proven, the name is what they say)")
        if text and room in (self._room, ""):
            print(f"[{room}] {name}: {text}" if room else f"{name} to you: {text}")


def read_lines(lines: "asyncio.Queue[str | None]") -> None:
    """Feed the queue from the terminal, on a thread of its own: reading blocks."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()


async def main(words: argparse.Namespace) -> None:
    chat = Chat(words.name)
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    async with Node.open(words.profile, data_dir=words.data_dir, protocols=[chat.protocol]) as node:
        if words.connect:
            lines.put_nowait(f"/connect {words.connect}")
        read_lines(lines)
        await chat.run(node, lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A chat on Peerkit")
    parser.add_argument("name")
    parser.add_argument("--connect", metavar="ADDRESS", help="somebody who is there")
    parser.add_argument("--data-dir", type=Path, help="keeps your identity; without it you are somebody new each time")
    parser.add_argument("--profile", type=Path, default=Path(__file__).with_name("chat.toml"))
    try:
        asyncio.run(main(parser.parse_args()))
    except PeerkitError as exc:
        sys.exit(f"chat: {exc}")
    except KeyboardInterrupt:
        pass
