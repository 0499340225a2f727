"""A network namespace: a machine of its own as far as the network goes, with its devices, addresses and packet rules.

Needs root on Linux, `ip` and `nft`; `missing` tells what is not there.  Names hold the process's number, so that test
processes do not meet; what a killed one left behind is taken away by the next.
"""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PREFIX = "peerkit-test-"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_numbers = count()


def missing(*more_tools: str) -> str:
    """Why there can be no namespaces here; empty when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    tools = [tool for tool in ("ip", "nft", *more_tools) if shutil.which(tool) is None]
    return f"network namespaces need {' and '.join(tools)}" if tools else ""


@dataclass(frozen=True, slots=True)
class Space:
    """Attributes:
    name: as `ip netns` knows it.
    """

    name: str

    def command(self, *words: str) -> list[str]:
        """What runs `words` inside; the process keeps its id."""
        return ["ip", "netns", "exec", self.name, *words]

    def enter(self) -> None:
        """Move the calling thread inside: for good, and with it what it starts."""
        with (_NAMESPACES / self.name).open("rb") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")

    def ip(self, *lines: str) -> None:
        """Commands of `ip`, one a line."""
        run("ip", "-n", self.name, "-batch", "-", text="\n".join([*lines, ""]))

    def nft(self, text: str) -> None:
        run(*self.command("nft", "-f", "-"), text=text)

    def within(self, work: Callable[[], T]) -> T:
        """Call `work` inside, in a thread of its own, whose namespace ends with it."""
        done: list[T] = []
        failed: list[OSError] = []

        def inside() -> None:
            try:
                self.enter()
                done.append(work())
            except OSError as exc:
                failed.append(exc)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this namespace in our own process: it stays where it was made."""
        return self.within(lambda: socket.socket(family, kind, protocol))

    def set_sysctl(self, name: str, value: str) -> None:
        """Args:
        name: `net.ipv4.ip_forward`.
        """
        self.within(lambda: Path("/proc/sys", *name.split(".")).write_text(value))


@contextmanager
def spaces(*roles: str) -> Iterator[Sequence[Space]]:
    """Make one for each role; they are gone afterwards, with every device, rule and address of theirs."""
    _take_away_left_ones()
    number = next(_numbers)
    made = [Space(f"{_PREFIX}{os.getpid()}-{number}{role}") for role in roles]
    try:
        run("ip", "-batch", "-", text="".join(f"netns add {space.name}\n" for space in made))
        yield made
    finally:
        for space in made:
            _delete(space.name)


def _take_away_left_ones() -> None:
    for path in _NAMESPACES.glob(f"{_PREFIX}*"):
        found = re.match(rf"{_PREFIX}(\d+)-", path.name)
        if found and not Path("/proc", found[1]).exists():
            _delete(path.name)


def _delete(name: str) -> None:
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def run(*command: str, text: str = "") -> str:
    """Raises `RuntimeError` with the command's own words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}\n{text}")
    return done.stdout
