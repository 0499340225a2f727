"""A slow, lossy link between two network namespaces: two TUN devices and a process that carries packets between them.

For what loopback cannot show: congestion control over distance.  Each direction has a rate, a propagation delay and a
queue of one bandwidth-delay product; from left to right every large packet is lost with the same probability, by the
same seed in each run.  Needs root on Linux; `is_possible` tells.  The device hands over packet by packet (no
segmentation offload), so a loss is one packet and not a batch.
"""

import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .process import serving

LEFT, RIGHT = "10.77.0.1", "10.77.0.2"
MTU = 1_500
LARGE_BYTES = 500  # acknowledgements and handshakes are not lost: every run gets under way
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h


def is_possible() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and Path("/dev/net/tun").exists()


@dataclass(frozen=True, slots=True)
class TunLink:
    """Attributes:
    left, right: what to put before a command that shall run at that end; the addresses are `LEFT` and `RIGHT`.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]


@contextmanager
def tun_link(mbit: float, round_trip_s: float, loss: float, seed: int = 1) -> Iterator[TunLink]:
    """Make the namespaces and the link; all are gone afterwards."""
    names = [f"peerkit{os.getpid()}{end}" for end in "lr"]
    try:
        for name in names:
            _ip("netns", "add", name)
        with serving("-m", __name__, *names, str(mbit * 125_000), str(round_trip_s), str(loss), str(seed)):
            left, right = (("ip", "netns", "exec", name) for name in names)
            yield TunLink(left, right)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _open_device(namespace: str, own: str, other: str) -> int:
    """A TUN device inside a namespace; the descriptor stays ours when the device moves there."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = namespace[-15:]
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    _ip("link", "set", name, "netns", namespace)
    inside = "netns", "exec", namespace, "ip"
    _ip(*inside, "address", "add", own, "peer", other, "dev", name)
    _ip(*inside, "link", "set", name, "mtu", str(MTU), "txqueuelen", "10000", "up")
    _ip(*inside, "link", "set", "lo", "up")
    return device


class _Direction:
    """One way of the link: in at one device, out at the other."""

    def __init__(self, source: int, target: int, rate: float, round_trip_s: float, loss: float, seed: int) -> None:
        self.source, self.target, self.rate, self.loss = source, target, rate, loss
        self.delay_s = round_trip_s / 2
        self.queue_s = round_trip_s
        self.waiting: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0
        self._chance = random.Random(seed)

    def take(self) -> None:
        """Read what is there and plan when it arrives."""
        now = time.monotonic()
        for _ in range(256):
            try:
                packet = os.read(self.source, 65_536)
            except BlockingIOError:
                return
            if len(packet) > LARGE_BYTES and self._chance.random() < self.loss:
                continue
            start = max(self._free_at, now)
            if start - now > self.queue_s:
                continue
            self._free_at = start + len(packet) / self.rate
            self.waiting.append((self._free_at + self.delay_s, packet))

    def release(self, now: float) -> None:
        waiting = self.waiting
        while waiting and waiting[0][0] <= now:
            packet = waiting.popleft()[1]
            with suppress(OSError):  # the other side is not up yet, or its queue is full: lost
                os.write(self.target, packet)


def _forward(left: str, right: str, rate: str, round_trip_s: str, loss: str, seed: str) -> None:
    left_device, right_device = _open_device(left, LEFT, RIGHT), _open_device(right, RIGHT, LEFT)
    there = _Direction(left_device, right_device, float(rate), float(round_trip_s), float(loss), int(seed))
    back = _Direction(right_device, left_device, float(rate), float(round_trip_s), 0.0, int(seed))
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # a busy machine must not make the link longer
    print("ready", flush=True)
    of_source = {left_device: there, right_device: back}
    while True:
        due = min((way.waiting[0][0] for way in (there, back) if way.waiting), default=None)
        wait_s = None if due is None else max(due - time.monotonic(), 0.0)
        readable, _, _ = select.select(of_source, [], [], wait_s)
        for device in readable:
            of_source[device].take()
        now = time.monotonic()
        there.release(now)
        back.release(now)


if __name__ == "__main__":
    _forward(*sys.argv[1:])
