"""A small game whose maps come by content id.

python game.py publish FOLDER INDEX    shares the folder's files, writes their links to INDEX, serves until Ctrl-C
python game.py play INDEX              w a s d and Enter; the next map comes while you play this one
"""

import argparse
import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

from assets import Assets

from peerkit import Node
from peerkit.errors import PeerkitError

LEVELS = ("cave1.txt", "cave2.txt")
MOVES = {"w": (0, -1), "a": (-1, 0), "s": (0, 1), "d": (1, 0)}


async def publish(node: Node, folder: Path, index: Path) -> None:
    files = await asyncio.to_thread(lambda: sorted(path for path in folder.iterdir() if path.is_file()))
    answer: Any = await node.call("share", paths=files, unlisted=True)
    links = {shared["name"]: shared["link"] for shared in answer}
    await asyncio.to_thread(index.write_text, json.dumps(links, indent=1) + "\n")
    print(f"{len(links)} assets; {index} goes with the game", flush=True)
    await asyncio.Event().wait()


async def play(node: Node, index: Path) -> None:
    assets = Assets(node, json.loads(await asyncio.to_thread(index.read_text)))
    keys = read_keys()
    async for piece in assets.stream("title.txt"):
        print(piece.decode(), end="")
    coming = asyncio.ensure_future(assets.load(LEVELS[0]))
    for following in (*LEVELS[1:], ""):
        rows = (await coming).decode().splitlines()
        if following:
            coming = asyncio.ensure_future(assets.load(following))  # while this one is played
        if not await walk(rows, keys):
            coming.cancel()
            return
    print("you are out!")


async def walk(rows: list[str], keys: "asyncio.Queue[str | None]") -> bool:
    """From `@` to `>`; `#` is rock.  `False`: the player has had enough."""
    y, x = next((y, row.index("@")) for y, row in enumerate(rows) if "@" in row)
    rows = [row.replace("@", " ") for row in rows]
    while rows[y][x] != ">":
        print("\n".join(row[:x] + "@" + row[x + 1 :] if at == y else row for at, row in enumerate(rows)), flush=True)
        if (line := await keys.get()) is None:
            return False
        for key in line:
            dx, dy = MOVES.get(key, (0, 0))
            if rows[y + dy][x + dx] != "#" and rows[y][x] != ">":
                x, y = x + dx, y + dy
    return True


def read_keys() -> "asyncio.Queue[str | None]":
    """Lines of the terminal, read on a thread of its own; `None` after `q` or the end of the input."""
    loop = asyncio.get_running_loop()
    keys: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            if line.strip() == "q":
                break
            loop.call_soon_threadsafe(keys.put_nowait, line.strip())
        loop.call_soon_threadsafe(keys.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return keys


async def main(words: argparse.Namespace) -> None:
    async with Node.open(words.profile, data_dir=words.data_dir) as node:
        if words.command == "publish":
            await publish(node, words.folder, words.index)
        else:
            await play(node, words.index)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A game that loads its assets by content id")
    parser.add_argument("--profile", type=Path, default=Path(__file__).with_name("game.toml"))
    parser.add_argument("--data-dir", type=Path, help="the cache; without it each start begins with an empty one")
    commands = parser.add_subparsers(dest="command", required=True)
    publishing = commands.add_parser("publish", help="serve the assets in a folder")
    publishing.add_argument("folder", type=Path)
    publishing.add_argument("index", type=Path)
    playing = commands.add_parser("play", help="play the game")
    playing.add_argument("index", type=Path)
    try:
        asyncio.run(main(parser.parse_args()))
    except PeerkitError as exc:
        sys.stderr.write(f"game: {exc}\n")
        sys.exit(exc.exit_status)
    except KeyboardInterrupt:
        pass
