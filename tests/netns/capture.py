"""What a listener on the wire sees: every frame of a namespace's device, in both directions."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.netns.namespaces import DEVICE, Namespace

_ETH_P_ALL = 3  # linux/if_ether.h
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # linux/if_packet.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_BUFFER_BYTES = 64 << 20
_LONGEST_FRAME = 1 << 17


class Capture:
    """Attributes:
    frames: in the order they passed.
    """

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def holds(self, what: bytes) -> bool:
        """Whether some frame has these bytes."""
        return any(what in frame for frame in self.frames)

    def comes_to_hold(self, what: bytes, within_s: float = 20.0) -> bool:
        """As `holds`; a frame may be on its way still."""
        until = time.monotonic() + within_s
        while not self.holds(what) and time.monotonic() < until:
            time.sleep(0.05)
        return self.holds(what)

    def nbytes(self, protocol: int) -> int:
        """Bytes of the frames of one protocol over IPv4."""
        return sum(len(frame) for frame in self.frames if frame[12:14] == b"\x08\0" and frame[23] == protocol)


@contextmanager
def capturing(end: Namespace) -> Iterator[Capture]:
    """Listen until the end of the block.  Raises `RuntimeError` when a frame was missed."""
    capture = Capture()
    with end.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        tap.bind((DEVICE, _ETH_P_ALL))
        tap.settimeout(0.2)
        is_over = threading.Event()

        def listen() -> None:
            while True:
                try:
                    capture.frames.append(tap.recv(_LONGEST_FRAME))
                except TimeoutError:
                    if is_over.is_set():
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield capture
        finally:
            is_over.set()
            thread.join()
        _, dropped = struct.unpack("=II", tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        if dropped:
            raise RuntimeError(f"{dropped} frames were missed")
