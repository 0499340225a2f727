"""A program for `test_kill.py`: a node that fetches a link, to be killed at any moment.

python killed_node.py DATA_DIR LINK OUTPUT
"""

import asyncio
import sys
from pathlib import Path

from plugins.warehouse.tests.beds import CollectingCall, get, open_node


class Printing(CollectingCall):
    """Tells its parent how far it is."""

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        print(int(done), flush=True)


async def main(data_dir: Path, link: str, output: Path) -> None:
    async with open_node(data_dir) as node:
        await get(node, link, output, Printing())
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
