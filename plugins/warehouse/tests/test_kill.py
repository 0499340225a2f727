"""A download killed with SIGKILL at any moment is gone on with, and fetches again at most what was on its way."""

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from peerkit import Node
from plugins.warehouse.tests.beds import ask, digest, make_file, open_node, share

GROUP = 1 << 20
GROUPS = 24
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.integration


async def fetch(data_dir: Path, link: str, output: Path, kill_at: int | None) -> tuple[int, bool]:
    """Run the program; kill it once it tells of `kill_at` bytes.  Returns the first and whether it was done."""
    program = str(Path(__file__).with_name("killed_node.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, str(data_dir), link, str(output),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    first, done = -1, False
    async for line in process.stdout:
        if line.strip() == b"done":
            done = True
            continue
        held = int(line)
        first = held if first < 0 else first
        if kill_at is not None and held >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
    await process.wait()
    return first, done


async def sent_by(node: Node) -> int:
    return int((await ask(node, "stat")).sent_bytes)


def test_a_killed_download_fetches_at_most_what_was_on_its_way_again(tmp_path: Path) -> None:
    async def main() -> None:
        rng = random.Random(5)
        original = make_file(tmp_path / "original", GROUPS * GROUP - 5)
        target = tmp_path / "copy"
        async with open_node(tmp_path / "a") as a:
            (shared,) = await share(a, original)
            told = 0
            for round_number in range(2):
                kill_at = rng.randrange(told + 1, GROUPS * GROUP * (round_number + 2) // 4)
                first, done = await fetch(tmp_path / "b", shared.link, target, kill_at)
                assert first >= told  # all that it told of before is still there
                assert not done
                assert not target.exists()
                told = max(first, kill_at)
            before = await sent_by(a)
            first, done = await fetch(tmp_path / "b", shared.link, target, None)
            assert done
            assert first >= told
            missing = GROUPS * GROUP - 5 - first
            assert await sent_by(a) - before <= missing + GROUP
            assert digest(target) == digest(original)

    asyncio.run(main())
