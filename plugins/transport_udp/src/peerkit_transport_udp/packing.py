"""What goes into the next packets, and how many may leave: everything that is sent passes here.

In order: challenges of paths, a probe for a larger datagram, the transport's own frames, then what the session gives:
what was lost, what is sent once, what is new.  The window, the pacer and the path's allowance limit it.  A batch has
equal segments, only the last may be shorter (GSO); an acknowledgement rides in the last packet where it fits.
"""

import math
from collections import deque

from peerkit.errors import LocalProtocolError
from peerkit.transport import FrameSource

from . import frames
from .packet_receiver import PacketReceiver
from .packet_sender import OVERHEAD_BYTES, Batch, PacketSender, pad
from .path_set import PathSet
from .paths import PathState
from .recovery import Recovery
from .sent_log import CONTROL, MTU_PROBE, ONCE, RELIABLE, Content, SentBatch

MAX_JOINED_BYTES = 900  # of control frames in one packet, which fits every path
# A challenge is padded to this, so that the peer, who may send no more to an address than came from there, can answer
# with the echo and a challenge of its own: otherwise each side's challenge uses up what the other's echo needs.
ECHO_AND_CHALLENGE_BYTES = 2 * frames.CHALLENGE_BYTES


class Packing:
    """Args:
        padding_bytes: packets are padded to a multiple of so many bytes, or to the largest that the path takes, so that
            sizes tell little; 0: not.

    Attributes:
        control: the transport's frames that wait, each to be delivered at least once.
        max_peer_bytes: largest datagram that the peer takes; 0 while it has not told.
        blocked_until: when the pacer lets more out; infinite when something else stops us.
    """

    __slots__ = (
        "_padding_bytes",
        "_paths",
        "_receiver",
        "_recovery",
        "_sender",
        "blocked_until",
        "control",
        "max_peer_bytes",
    )

    def __init__(
        self, sender: PacketSender, receiver: PacketReceiver, recovery: Recovery, paths: PathSet, padding_bytes: int = 0
    ) -> None:
        self._padding_bytes = padding_bytes
        self._sender = sender
        self._receiver = receiver
        self._recovery = recovery
        self._paths = paths
        self.control: deque[bytes] = deque()
        self.max_peer_bytes = 0
        self.blocked_until = math.inf

    @property
    def datagram_bytes(self) -> int:
        """Largest datagram that may be sent now."""
        found, most = self._paths.active.mtu.datagram_bytes, self.max_peer_bytes
        return most if 0 < most < found else found

    @property
    def may_probe_mtu(self) -> bool:
        """The peer has told what it takes, and the path leads to it."""
        return self.max_peer_bytes > 0 and self._paths.active.is_proven

    def fill(self, out: list[Batch], source: FrameSource, is_open: bool, now: float) -> None:
        """Add what may leave now.

        Args:
            is_open: whether what is sent once may still be taken from the session.

        Raises:
            LocalProtocolError: the key is spent, as the peer acknowledges nothing.
        """
        sender, recovery, path = self._sender, self._recovery, self._paths.active
        sender.keys.prepare(now)
        if sender.keys.left <= 0:
            raise LocalProtocolError("the key is spent, and the peer has acknowledged none of its packets")
        if sender.keys.wants_acknowledgement and not len(recovery.log) and not self.control:
            self.control.append(frames.PING_FRAME)
        if self._paths.due or (path.mtu.next_timer() <= now and self.may_probe_mtu):
            self._send_on_paths(out, now)
        if self.control or recovery.lost_control:
            self._send_control(out, now)
        self.blocked_until = math.inf
        if recovery.probes or recovery.lost or source.wants_to_send:
            self._send_payloads(out, source, is_open, now)
        else:
            path.is_app_limited = True
        if self._receiver.ack_at <= now and sender.room:
            out.append(self.seal(path, [self._receiver.ack_frame(now)], now))

    def _send_on_paths(self, out: list[Batch], now: float) -> None:
        """Challenges and their echoes, one packet for each path, and probes for larger datagrams."""
        due, self._paths.due = self._paths.due, []
        while due:
            path = due[0][0]
            joined, room = b"", path.allowance - self._sender.overhead_bytes
            for other, frame in due:
                if other is path and len(joined) + len(frame) <= room:
                    joined += frame
            due = [(other, frame) for other, frame in due if other is not path]
            if joined and self._sender.room:
                out.append(self.seal(path, [pad(joined, min(ECHO_AND_CHALLENGE_BYTES, room))], now, ONCE))
        path = self._paths.active
        if not (self.may_probe_mtu and self._sender.room):
            return
        size = path.mtu.probe_bytes(now)
        while size > self.max_peer_bytes:
            path.mtu.on_too_big(size, now)
            size = path.mtu.probe_bytes(now)
        if size:
            path.mtu.on_probe_sent(now)
            out.append(self.seal(path, [pad(frames.PING_FRAME, size - self._sender.overhead_bytes)], now, MTU_PROBE))

    def _send_control(self, out: list[Batch], now: float) -> None:
        self.control.extend(self._recovery.lost_control)
        self._recovery.lost_control.clear()
        while self.control and self._sender.room:
            joined = self.control.popleft()
            while self.control and len(joined) + len(self.control[0]) <= MAX_JOINED_BYTES:
                joined += self.control.popleft()
            out.append(self.seal(self._paths.active, [joined], now, CONTROL))

    def _send_payloads(self, out: list[Batch], source: FrameSource, is_open: bool, now: float) -> None:
        path, recovery, sender = self._paths.active, self._recovery, self._sender
        probes, recovery.probes = recovery.probes, 0
        size = self.datagram_bytes
        max_bytes = size - sender.overhead_bytes
        is_more = True
        while is_more:
            if probes:
                count = probes  # the window is full, and nothing says whether anything arrives: RFC 9002 §6.2.4
            else:
                room = int(path.controller.window) - path.in_flight
                if not path.is_proven:
                    room = min(room, path.allowance)
                count = room // size
                if count <= 0:
                    path.is_app_limited = False
                    return
                segments = path.pacer.segments(size, now)
                if not segments:
                    path.is_app_limited = False
                    self.blocked_until = path.pacer.due_at
                    return
                if segments < count:
                    count = segments
            room = sender.room if probes else sender.room_for_data
            if room < count:
                count = room
            payloads, content = self._next_payloads(source, is_open, max_bytes, count) if count else ([], None)
            if payloads:
                self._send_runs(path, payloads, content, max_bytes, out, now)
            elif probes and count:
                out.append(self.seal(path, [frames.PING_FRAME], now, ONCE))
            if len(payloads) < count and content is RELIABLE and not recovery.lost:
                break  # that was all
            if not payloads:
                break
            if probes:
                probes = max(probes - len(payloads), 0)
            is_more = probes > 0 or bool(recovery.lost) or source.wants_to_send
        path.is_app_limited = True

    def _next_payloads(
        self, source: FrameSource, is_open: bool, max_bytes: int, count: int
    ) -> tuple[list[bytes], Content]:
        """What was lost, then what is sent once, then what is new."""
        lost = self._recovery.lost
        if lost:
            payloads: list[bytes] = []
            while lost and len(payloads) < count:
                payload = lost.popleft()
                if len(payload) > max_bytes:
                    lost.extendleft(reversed(source.refit(payload, max_bytes)))
                elif payloads and len(payloads[-1]) + len(payload) <= max_bytes:
                    payloads[-1] += payload
                else:
                    payloads.append(payload)
            return payloads, RELIABLE
        if is_open:
            payloads = source.unreliable_payloads(max_bytes, count)
            if payloads:
                return payloads, ONCE
        return source.reliable_payloads(max_bytes, count), RELIABLE

    def _send_runs(
        self,
        path: PathState,
        payloads: list[bytes],
        content: Content | None,
        max_bytes: int,
        out: list[Batch],
        now: float,
    ) -> None:
        """Send payloads as batches of equal ones, the last of each may be shorter; an acknowledgement rides along."""
        start, end = 0, len(payloads)
        while start < end:
            stop = end if end == 1 else _end_of_run(payloads, start)
            run = payloads[start:stop] if stop - start < end else payloads
            size = max_bytes if stop - start == 1 else len(run[0])
            extra = b""
            if stop == end and self._receiver.has_unacked:
                extra = self._receiver.ack_frame(now)
                room = size - len(run[-1])
                if len(extra) > room and (room or len(run) >= self._sender.room):
                    out.append(self.seal(path, [extra], now))
                    extra = b""
            out.append(self.seal(path, run, now, content, extra, size))
            start = stop

    def seal(
        self,
        path: PathState,
        payloads: list[bytes],
        now: float,
        content: Content | None = None,
        extra: bytes = b"",
        max_bytes: int = 0,
    ) -> Batch:
        """One batch, noted in the log unless `content` is `None` (packets that want no acknowledgement).

        Args:
            extra: an acknowledgement that rides in the last packet if `max_bytes` allow, else as one packet more.
        """
        first, count = self._sender.keys.counter, len(payloads)
        packets = payloads
        if extra:
            last = payloads[-1]
            packets = [*payloads[:-1], extra + last] if len(last) + len(extra) <= max_bytes else [*payloads, extra]
        if self._padding_bytes and path.is_proven and content is not MTU_PROBE:
            packets = self._padded(packets, path)
        batch = self._sender.seal(path.route, path.peer_id, packets)
        if not path.is_proven:
            path.sent_bytes += batch.nbytes
        if content is not None:
            kept = payloads if content is RELIABLE or content is CONTROL else ()
            nbytes = (count - 1) * batch.segment_bytes + len(packets[count - 1]) + OVERHEAD_BYTES
            self._recovery.sent(SentBatch(first, first + count, now, batch.segment_bytes, nbytes, path, content, kept))
        return batch

    def _padded(self, packets: list[bytes], path: PathState) -> list[bytes]:
        """Those of one length stay so, and a shorter last one gets no longer than the rest."""
        most = min(path.mtu.datagram_bytes, self.max_peer_bytes or path.mtu.datagram_bytes)
        overhead, unit = self._sender.overhead_bytes, self._padding_bytes
        sizes = (-(-(len(packet) + overhead) // unit) * unit for packet in packets)
        return [pad(packet, min(size, most) - overhead) for packet, size in zip(packets, sizes, strict=True)]


def _end_of_run(payloads: list[bytes], start: int) -> int:
    """Where those end that are as long as the one at `start`; a shorter one may follow and belongs to them."""
    sizes = list(map(len, payloads[start:] if start else payloads))
    size, end = sizes[0], len(sizes)
    if (stop := sizes.count(size)) < end:
        stop = next(at for at, other in enumerate(sizes) if other != size)
        if sizes[stop] < size:
            stop += 1
    return start + stop
