"""Two network namespaces joined by a veth pair: a real wire between real processes that loses what a test asks it to.

Needs root on Linux, `ip` and `nft`; `missing` tells what is not there.  Names hold the process's number, so that test
processes do not meet; what a killed one left behind is taken away by the next.
"""

import ctypes
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

DEVICE = "wire0"
_PREFIX = "peerkit-test-"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_numbers = count()


def missing() -> str:
    """Why there can be no namespaces here; empty when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    tools = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    return f"network namespaces need {' and '.join(tools)}" if tools else ""


@dataclass(frozen=True, slots=True)
class Namespace:
    """One end of the wire.

    Attributes:
        host: its address.
    """

    name: str
    host: str

    def command(self, *words: str) -> list[str]:
        """What runs `words` inside; the process keeps its id."""
        return ["ip", "netns", "exec", self.name, *words]

    def connect(self) -> None:
        # Otherwise a batch of 44 datagrams crosses the wire as one packet, and is lost as one.
        self._ip("link set lo up", f"link set {DEVICE} gso_max_segs 1 up")
        self.use_address(self.host)

    def use_address(self, *hosts: str) -> None:
        """Have these addresses, and no other."""
        added = [f"address add {host}/24 dev {DEVICE}" for host in hosts]
        self._ip(f"address flush dev {DEVICE}", *added)

    def rules(self, **chains: str) -> None:
        """Replace all packet rules.

        Args:
            chains: nft's words by hook: `input` is what arrives for a process here, `postrouting` what leaves.  The
                counter `hits` is there to be named.
        """
        texts = [f"chain {hook} {{ type filter hook {hook} priority 0\n{text}\n}}\n" for hook, text in chains.items()]
        self._nft(f"flush ruleset\ntable inet test {{\ncounter hits {{ }}\n{''.join(texts)}}}\n")

    def lose(self, per_mille: int) -> None:
        """Drop so many of 1,000 packets that arrive here, at random."""
        self.rules(input=f"numgen random mod 1000 < {per_mille} counter name hits drop")

    @property
    def hits(self) -> int:
        """Packets that the rules' counter has seen."""
        done = _run(*self.command("nft", "-j", "list", "counter", "inet", "test", "hits"))
        (found,) = (entry["counter"] for entry in json.loads(done)["nftables"] if "counter" in entry)
        return int(found["packets"])

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this namespace in our own process: it stays where it was made."""
        made: list[socket.socket] = []
        failed: list[OSError] = []

        def make() -> None:  # in a thread of its own, whose namespace ends with it
            with (_NAMESPACES / self.name).open("rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    failed.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                made.append(socket.socket(family, kind, protocol))
            except OSError as exc:
                failed.append(exc)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    def _ip(self, *lines: str) -> None:
        _run("ip", "-n", self.name, "-batch", "-", text="\n".join([*lines, ""]))

    def _nft(self, text: str) -> None:
        _run(*self.command("nft", "-f", "-"), text=text)


@contextmanager
def namespace_pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Make both ends; they are gone afterwards, with every rule and address of theirs."""
    _take_away_left_ones()
    number = next(_numbers)
    ends = [Namespace(f"{_PREFIX}{os.getpid()}-{number}{side}", f"10.78.0.{i}") for i, side in enumerate("ab", 1)]
    a, b = ends
    try:
        link = f"link add {DEVICE} netns {a.name} type veth peer name {DEVICE} netns {b.name}"
        _run("ip", "-batch", "-", text=f"netns add {a.name}\nnetns add {b.name}\n{link}\n")
        for end in ends:
            end.connect()
        yield a, b
    finally:
        for end in ends:
            _delete(end.name)


def _take_away_left_ones() -> None:
    for path in _NAMESPACES.glob(f"{_PREFIX}*"):
        found = re.match(rf"{_PREFIX}(\d+)-", path.name)
        if found and not Path("/proc", found[1]).exists():
            _delete(path.name)


def _delete(name: str) -> None:
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def _run(*command: str, text: str = "") -> str:
    """Raises `RuntimeError` with the command's own words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}\n{text}")
    return done.stdout
