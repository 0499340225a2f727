"""A file drop: who has the link gets the file or folder, verified piece by piece; nobody finds it by searching.

python drop.py give PATH…              prints a link for each, and serves them until Ctrl-C
python drop.py take LINK [-o PATH]     goes on where an earlier try stopped when --data-dir names the same folder
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peerkit import Node
from peerkit.errors import PeerkitError

if TYPE_CHECKING:
    from peerkit.client import Progress


async def give(node: Node, paths: list[Path]) -> None:
    answer: Any = await node.call("share", paths=paths, unlisted=True)
    for shared in answer:
        print(shared["link"], flush=True)
    await asyncio.Event().wait()


async def take(node: Node, link: str, output: Path) -> None:
    answer: Any = await node.call("get", id=link, output=output, on_progress=show)
    print(f"{answer['path']}: {answer['size_bytes']:,} bytes from {answer['sources']} source, verified")


def show(progress: "Progress") -> None:
    if sys.stderr.isatty() and progress.total:
        print(f"\r{progress.done / progress.total:4.0%}", end="\r", file=sys.stderr)


async def main(words: argparse.Namespace) -> None:
    async with Node.open(words.profile, data_dir=words.data_dir) as node:
        await (give(node, words.paths) if words.command == "give" else take(node, words.link, words.output))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A file drop on Peerkit")
    parser.add_argument("--profile", type=Path, default=Path(__file__).with_name("drop.toml"))
    parser.add_argument("--data-dir", type=Path, help="keeps the identity, and what has come of a stopped download")
    commands = parser.add_subparsers(dest="command", required=True)
    giving = commands.add_parser("give", help="share files and folders by link")
    giving.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    taking = commands.add_parser("take", help="fetch what a link names")
    taking.add_argument("link")
    taking.add_argument("-o", "--output", type=Path, default=Path.cwd(), help="a name, or a folder to put it into")
    try:
        asyncio.run(main(parser.parse_args()))
    except PeerkitError as exc:
        sys.stderr.write(f"drop: {exc}\n")
        sys.exit(exc.exit_status)
    except KeyboardInterrupt:
        pass
