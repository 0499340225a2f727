"""How small the kernel is: its installation, its imports, its commands, the memory of a minimal node.

Each figure of time stands twice: wall time without standstill, and processor time (user and system, children
included), which does not depend on the company.  Imports and commands take turns with a bare interpreter.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import requires
from pathlib import Path

from .footprint import resident_mib
from .process import ROOT, serving, up
from .row import Row, bounded
from .standstill import Standstill
from .work_file import work_folder

PEERKIT = Path(sys.executable).with_name("peerkit")
# Byte code on disk, as on any user's machine: without it every process compiles what it imports.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# The kernel, one transport, one protocol (and the handshake, without which there is no session).
MINIMAL_NODE = """
import asyncio, os
from peerkit import Node, ProtocolSpec

PROFILE = {"node": {"listen": ["tcp://127.0.0.1:0"], "enable": ["secure_noise", "transport_tcp"]}}

async def main():
    echo = ProtocolSpec("example.org/echo", "1.0.0", on_request=lambda request: request.payload)
    async with Node.open(PROFILE, protocols=[echo]):
        await asyncio.sleep(2)  # what it does once after its start is done
        print(os.getpid(), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def run(still: Standstill, quick: bool = False) -> list[Row]:
    rounds = 5 if quick else 15
    with work_folder() as folder, up(folder / "node") as node:
        node.command("status")  # the first one fetches the catalogue of operations
        beside = [str(PEERKIT), "status", "--data-dir", str(node.data_dir)]
        help_ = [str(PEERKIT), "--help", "--data-dir", str(node.data_dir)]
        commands = (
            [sys.executable, "-c", "pass"],
            [sys.executable, "-c", "import peerkit"],
            [sys.executable, "-c", "from peerkit import Node"],
            help_,
            beside,
        )
        for command in commands:
            _cost(still, command)  # the first one may write byte code
        wall, processor = _in_turns(still, rounds, *commands)
    rows = []
    for unit, (bare, package, whole, usage, status) in (("s wall", wall), ("s processor", processor)):
        rows += [
            bounded(Row("`import peerkit` over a bare interpreter", unit, _over(package, bare)), 0.03),
            bounded(Row("`from peerkit import Node` over a bare interpreter", unit, _over(whole, bare)), 0.35),
            bounded(Row("`peerkit --help`, whole process", unit, usage), 0.15),
            bounded(Row("`peerkit status` beside a running node, whole process", unit, status), 0.15),
            Row("a bare interpreter", unit, bare),
        ]
    with serving("-c", MINIMAL_NODE) as pid:
        memory = resident_mib(int(pid))
    rows.append(bounded(Row("a node of the kernel, one transport, one protocol", "MiB", (memory,)), 65))
    direct = [line for line in requires("peerkit-kernel") or () if "extra ==" not in line]
    rows.append(bounded(Row("direct dependencies of the kernel", "", (float(len(direct)),)), 9))
    installed = [_installation(still) for _ in range(1 if quick else 3)]
    for unit, values in zip(("s wall", "s processor"), zip(*installed, strict=True), strict=True):
        rows.append(bounded(Row("the kernel's wheel into an empty environment", unit, values), 20))
    return rows


def _in_turns(
    still: Standstill, rounds: int, *commands: Sequence[str]
) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Run each command `rounds` times, one after the other.  Returns wall and processor seconds by command."""
    measured = [[_cost(still, command) for command in commands] for _ in range(rounds)]
    by_command = [*zip(*measured, strict=True)]
    return (
        [tuple(wall for wall, _ in costs) for costs in by_command],
        [tuple(processor for _, processor in costs) for costs in by_command],
    )


def _over(values: Sequence[float], base: Sequence[float]) -> tuple[float, ...]:
    return tuple(value - bare for value, bare in zip(values, base, strict=True))


def _cost(still: Standstill, command: Sequence[str]) -> tuple[float, float]:
    """Seconds of wall time, standstill left out, and of processor time.  Raises `CalledProcessError`."""
    began_at, before = time.monotonic(), os.times()
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT, env=ENVIRONMENT)
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return still.seconds(began_at, time.monotonic()), processor


def _installation(still: Standstill) -> tuple[float, float]:
    """What the package index and pip take for it; the wheel is built before."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    with tempfile.TemporaryDirectory() as folder:
        build = ["wheel", "--no-deps", "--no-build-isolation", "-w", folder, str(ROOT / "kernel")]
        subprocess.run([*pip, *build], capture_output=True, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        empty = Path(folder) / "env"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
        install = ["install", "--only-binary", ":all:", "--no-compile", str(wheel)]
        cost = _cost(still, [*pip, "--python", str(empty / "bin/python"), *install])
        subprocess.run([str(empty / "bin/peerkit"), "--help"], capture_output=True, check=True)
    return cost
