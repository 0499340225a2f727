"""Which handler takes a datagram: decided by its first byte.

One UDP socket serves everything (data, the DHT's ping, hole punching, observation), so that the mapping which a
stranger observes is the mapping in use.  The ranges are one registry in `docs/wire-format.md`.

A received batch comes from one remote address, but its segments may be of several kinds; it is split into runs of
segments for one handler.  For whoever makes a `DatagramEndpoint`: the kernel its sockets, a relay its circuits.
"""

from collections.abc import Callable

from .address import Address
from .errors import PluginConflictError
from .transport import DatagramHandler

_NOBODY = 255


class FirstByteRegistry:
    """Handlers by range of the first byte."""

    def __init__(self) -> None:
        self._owner = bytearray([_NOBODY]) * 256  # first byte → index into `_handlers`
        self._handlers: list[DatagramHandler] = []
        self._turn_over: list[Callable[[], None]] = []
        self.unclaimed = 0  # datagrams whose first byte nobody registered, dropped

    def register(
        self, first: int, last: int, handler: DatagramHandler, turn_over: Callable[[], None] | None = None
    ) -> None:
        """See `DatagramEndpoint.register`.  Raises `PluginConflictError` when a part of `first..last` is taken."""
        if not 0 <= first <= last <= 255:
            raise ValueError(f"{first}..{last} is not a range of bytes")
        for byte in range(first, last + 1):
            if self._owner[byte] != _NOBODY:
                raise PluginConflictError(
                    f"two plugins want datagrams that begin with 0x{byte:02x};"
                    f" 0x{first:02x}..0x{last:02x} is taken in part"
                )
        if len(self._handlers) == _NOBODY:
            raise PluginConflictError("too many ranges of first bytes are registered on one socket")
        self._owner[first : last + 1] = bytes([len(self._handlers)]) * (last + 1 - first)
        self._handlers.append(handler)
        if turn_over is not None and turn_over not in self._turn_over:
            self._turn_over.append(turn_over)

    def turn_over(self) -> None:
        """All that came at once has been handed on."""
        for turn_over in self._turn_over:
            turn_over()

    def dispatch(self, data: memoryview, segment_bytes: int, local: Address, remote: Address, now: float) -> None:
        """Hand a batch on.  `data` holds segments of `segment_bytes`, only the last may be shorter."""
        total = len(data)
        if not total:
            return  # an empty datagram belongs to nobody
        if total <= segment_bytes:
            owner = self._owner[data[0]]
            if owner == _NOBODY:
                self.unclaimed += 1
            else:
                self._handlers[owner](data, total, local, remote, now)
            return
        owners = bytes(data[::segment_bytes]).translate(self._owner)
        start, count = 0, len(owners)
        while start < count:
            owner = owners[start]
            end = start + 1
            while end < count and owners[end] == owner:
                end += 1
            if owner == _NOBODY:
                self.unclaimed += end - start
            else:
                run = data[start * segment_bytes : end * segment_bytes]
                self._handlers[owner](run, min(segment_bytes, len(run)), local, remote, now)
            start = end
