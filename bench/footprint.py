"""What a node costs before it does anything: memory, time to start, time of a command."""

import subprocess
import sys
import time
from pathlib import Path

from .process import UpNode, output_of, up
from .row import Row, bounded
from .standstill import Standstill
from .work_file import work_folder

ROUNDS = 7
IDLE_S = 5.0  # lets the node finish what it does once after its start


def run(still: Standstill, quick: bool = False) -> list[Row]:
    rounds = 3 if quick else ROUNDS
    ready: list[float] = []
    memory: list[float] = []
    commands: list[float] = []
    with work_folder() as folder:
        for i in range(rounds):
            with up(folder / str(i)) as node:
                ready.append(still.seconds(*node.start))
                if i == 0:
                    time.sleep(IDLE_S)
                    memory.append(resident_mib(node.pid))
                    node.command("status")  # the first one fetches the catalogue of operations
                    commands = [_command_s(still, node) for _ in range(rounds)]
    return [
        bounded(Row("idle node, preset local", "MiB", tuple(memory)), 90),
        bounded(Row("start to `ready`", "s", tuple(ready)), 1),
        bounded(Row("`peerkit status` against a running node", "s", tuple(commands)), 0.15),
        Row("`import peerkit`", "s", tuple(_python_s(still, "import peerkit") for _ in range(rounds))),
        Row("`python -c pass`, for comparison", "s", tuple(_python_s(still, "pass") for _ in range(rounds))),
    ]


def resident_mib(pid: int) -> float:
    """Resident memory of a process, shared pages of libraries included."""
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def _command_s(still: Standstill, node: UpNode) -> float:
    # By the installed command, as a person would; not through `python -m`.
    command = [str(Path(sys.executable).with_name("peerkit")), "status", "--data-dir", str(node.data_dir)]
    began_at = time.monotonic()
    subprocess.run(command, capture_output=True, check=True)
    return still.seconds(began_at, time.monotonic())


def _python_s(still: Standstill, program: str) -> float:
    began_at = time.monotonic()
    output_of("-c", program)
    return still.seconds(began_at, time.monotonic())
