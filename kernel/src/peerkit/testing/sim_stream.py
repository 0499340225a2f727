"""Ordered streams of bytes between simulated hosts: `SimPipe` and `SimListener`.

Pieces that one side writes at one moment arrive together, by one timer.  A pipe holds at most `HIGH_WATER_BYTES` that
the other side has not read yet before it asks its handler to pause.

       write ──▶ [ wire: (due, piece)… ] ──timer──▶ [ inbox while reading is paused ] ──▶ handler of the other end
       close ──▶   … FIN                                                              ──▶ connection_lost("")
       abort ──▶   … RST                                                              ──▶ connection_lost("… reset …")
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from ..address import Address
from ..network import ServerTls
from ..transport import Buffer, Listener, Pipe, PipeAccept, PipeHandler

if TYPE_CHECKING:
    from .sim_host import SimHost

HIGH_WATER_BYTES = 512 * 1024  # as the system's pipes: see `_io/system_stream.py`
LOW_WATER_BYTES = 128 * 1024
RESET = "the other side reset the connection"
ABORTED = "aborted on this side"


class _Mark(Enum):
    FIN = auto()
    RST = auto()


class _State(Enum):
    OPEN = auto()
    CLOSING = auto()  # closed here, `connection_lost` is on its way
    LOST = auto()


class SimPipe:
    """One end of a stream."""

    __slots__ = (
        "_binding",
        "_handler",
        "_host",
        "_in_flight",
        "_inbox",
        "_last_due",
        "_local",
        "_net",
        "_read_paused",
        "_remote",
        "_state",
        "_wire",
        "_write_paused",
        "peer",
    )

    def __init__(self, host: SimHost, local: Address, remote: Address, binding: bytes) -> None:
        self._net = host.net
        self._host = host
        self._local = local
        self._remote = remote
        self._binding = binding
        self.peer: SimPipe  # set by `join`
        self._handler: PipeHandler | None = None
        self._state = _State.OPEN
        self._wire: deque[tuple[float, bytes | _Mark]] = deque()
        self._inbox: deque[bytes | _Mark] | None = None  # few pipes ever need one, and an empty deque takes 0.6 KiB
        self._last_due = 0.0
        self._in_flight = 0
        self._read_paused = False
        self._write_paused = False

    @property
    def local(self) -> Address:
        return self._local

    @property
    def remote(self) -> Address:
        return self._remote

    @property
    def binding(self) -> bytes:
        return self._binding

    def write(self, buffers: Sequence[Buffer]) -> None:
        if self._state is not _State.OPEN:
            return
        data = b"".join(buffers)
        if not data:
            return
        self._in_flight += len(data)
        self._send(data, len(data))
        if self._in_flight > HIGH_WATER_BYTES and not self._write_paused:
            self._write_paused = True
            if self._handler is not None:
                self._handler.pause_writing()

    def pause_reading(self) -> None:
        self._read_paused = True

    def resume_reading(self) -> None:
        if self._read_paused:
            self._read_paused = False
            if self._inbox:
                self._net.loop.call_soon(self._read_inbox)

    def close(self) -> None:
        if self._state is _State.OPEN:
            self._state = _State.CLOSING
            self._send(_Mark.FIN, 0)
            self._net.loop.call_soon(self._end, "")

    def abort(self) -> None:
        if self._state is not _State.LOST:
            self._state = _State.CLOSING
            self._send(_Mark.RST, 0)
            self._net.loop.call_soon(self._end, ABORTED)

    # for the host and the connecting side

    def attach(self, handler: PipeHandler) -> None:
        self._handler = handler
        self._host.pipes[self] = None
        if self._inbox:
            self._net.loop.call_soon(self._read_inbox)

    def forget(self) -> None:
        """The host crashed: nobody is told."""
        self._state = _State.LOST
        self._handler = None
        self._wire.clear()

    # the wire

    def _send(self, piece: bytes | _Mark, size_bytes: int) -> None:
        due = self._net.stream_arrives_at(self._host, self.peer._host, size_bytes)
        if due <= self._last_due:
            due = self._last_due
            if self._wire:  # its timer is set already
                self._wire.append((due, piece))
                return
        self._last_due = due
        self._wire.append((due, piece))
        self._net.loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        wire = self._wire
        if not wire:
            return
        if self._net.is_blocked(self._host, self.peer._host):
            self._net.hold_up(self._arrive, self._host, self.peer._host)
            return
        now = self._net.loop.time() + 1e-9
        while wire and wire[0][0] <= now:
            self.peer._receive(wire.popleft()[1])

    def _receive(self, piece: bytes | _Mark) -> None:
        if self._state is not _State.OPEN:
            if not isinstance(piece, _Mark):
                self._send(_Mark.RST, 0)
        elif piece is _Mark.RST and self._handler is not None:  # before there is a handler it waits for one
            self._end(RESET)
        elif self._inbox or self._read_paused or self._handler is None:
            if self._inbox is None:
                self._inbox = deque()
            self._inbox.append(piece)
        elif piece is _Mark.FIN:
            self._end("")
        else:
            assert isinstance(piece, bytes)
            self._feed(piece)

    def _read_inbox(self) -> None:
        while self._inbox and not self._read_paused and self._state is _State.OPEN:
            piece = self._inbox.popleft()
            if isinstance(piece, bytes):
                self._feed(piece)
            else:
                self._end("" if piece is _Mark.FIN else RESET)

    def _feed(self, data: bytes) -> None:
        handler = self._handler
        assert handler is not None
        view, done, total, is_fine = memoryview(data), 0, len(data), False
        try:
            while done < total and self._state is _State.OPEN:
                if self._read_paused:
                    if self._inbox is None:
                        self._inbox = deque()
                    self._inbox.appendleft(bytes(view[done:]))
                    break
                buffer = handler.get_buffer(total - done)
                count = min(len(buffer), total - done)
                if not count:
                    raise RuntimeError("get_buffer() returned an empty buffer")
                buffer[:count] = view[done : done + count]
                done += count
                handler.buffer_updated(count)
            is_fine = True
        finally:
            if not is_fine:  # the handler raised: the loop reports it, and the pipe is worth nothing any more
                self.abort()
        self.peer._was_read(done)

    def _was_read(self, count: int) -> None:
        self._in_flight -= count
        if self._write_paused and self._in_flight <= LOW_WATER_BYTES and self._state is _State.OPEN:
            self._write_paused = False
            if self._handler is not None:
                self._handler.resume_writing()

    def _end(self, reason: str) -> None:
        if self._state is _State.LOST:
            return
        self._state = _State.LOST
        self._inbox = None
        self._host.pipes.pop(self, None)
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.connection_lost(reason)
        other = self.peer
        if other._state is _State.LOST:  # nothing travels any more: both are freed, now that neither holds the other
            self._wire.clear()
            other._wire.clear()
            del self.peer, other.peer


class SimListener:
    """A listening port of a simulated host."""

    def __init__(self, host: SimHost, address: Address, accept: PipeAccept, tls: ServerTls | None) -> None:
        self._host = host
        self._address = address
        self.accept = accept
        self.tls = tls

    @property
    def scheme(self) -> str:
        return self._address.scheme

    @property
    def addresses(self) -> Sequence[Address]:
        return (self._address,)

    async def close(self) -> None:
        self._host.listeners.pop((self._address.host, self._address.port), None)


if TYPE_CHECKING:
    _pipe_fits: type[Pipe] = SimPipe
    _listener_fits: type[Listener] = SimListener
