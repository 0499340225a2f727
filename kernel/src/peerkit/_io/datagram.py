"""UDP sockets in batches.

One `sendmsg` with `UDP_SEGMENT` carries up to 64 datagrams, one `recvmsg` with `UDP_GRO` returns as many (Linux 4.18
and 5.0); where the system has neither, the same calls send and take one by one.  `IP_PKTINFO` tells at which address a
wildcard socket was asked, and makes it answer from there.

Loops without `add_reader`, and systems without `recvmsg`, get `protocol_datagram.ProtocolEndpoint`.
"""

import asyncio
import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..address import Address
from ..clock import Clock
from ..errors import LimitExceeded
from ..first_byte import FirstByteRegistry
from ..transport import Buffer, DatagramEndpoint, DatagramHandler, HopLimitedEndpoint
from .protocol_datagram import ProtocolEndpoint
from .segments import MAX_DATAGRAM_BYTES, calls_of, segments_of
from .socket_address import SockAddr, from_sockaddr, to_sockaddr
from .system_listener import bind

SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104  # linux/udp.h
IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50  # linux/in.h, in6.h; Linux alone has their layout below
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3  # do not fragment, ignore the system's own idea
WANTED_BUFFER_BYTES = 4 * 1024 * 1024  # the system grants what its sysctl allows
RECEIVE_BYTES = 65_536
RECEIVES_PER_TURN = 16  # then others get their turn: a flood must not stop the timers
# So little is a request or an acknowledgement, behind which mostly nothing waits: to ask costs a call, and is left to
# every sixteenth turn.  When that finds more, turns read on: a flood of small datagrams must not cost a turn for each.
SMALL_BYTES = 1_000
LOOK_EVERY = 16
MAX_CACHED_ADDRESSES = 1_024  # strangers choose the source address: the cache is emptied when full
MAX_MORE_SOCKETS = 512
_ANCILLARY_BYTES = 128
_GSO_REFUSED = (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP)
_SOURCE_REFUSED = (errno.EINVAL, errno.ENETUNREACH, errno.EADDRNOTAVAIL)  # no address of ours: Linux' IPv6, IPv4


async def open_datagrams(host: str, port: int, clock: Clock) -> DatagramEndpoint:
    """Bind a UDP socket.  Raises `ConnectFailed`."""
    loop = asyncio.get_running_loop()
    sock = bind(host, port, "udp", socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, WANTED_BUFFER_BYTES)
    if hasattr(sock, "recvmsg_into"):
        try:
            return BatchEndpoint(loop, sock, clock)
        except NotImplementedError:
            pass  # Windows' default loop has no add_reader
    return await ProtocolEndpoint.start(loop, sock, clock)


class BatchEndpoint:
    """A UDP socket read by `add_reader`.  See `peerkit.transport.DatagramEndpoint`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, clock: Clock) -> None:
        self._loop = loop
        self._sock = sock
        self._clock = clock
        self._registry = FirstByteRegistry()
        self._local = from_sockaddr("udp", sock.getsockname())
        self._is_v6 = sock.family == socket.AF_INET6
        self._is_wildcard = self._local.host in ("0.0.0.0", "::")
        self._buffer = bytearray(RECEIVE_BYTES)
        self._remotes: dict[SockAddr, Address] = {}
        self._locals: dict[bytes, Address] = {}
        self._sockaddrs: dict[tuple[str, int], SockAddr] = {}
        self._without_gso: set[SockAddr] = set()
        self._is_crowded = False  # small datagrams came more than one at a time
        self._lone_turns = 0
        self._has_pktinfo = self._is_wildcard and self._ask_for_pktinfo()
        self.has_gso = self._has(UDP_SEGMENT, 0)
        self.has_gro = self._has(UDP_GRO, 1)
        with contextlib.suppress(OSError):
            if self._is_v6:
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
        loop.add_reader(sock, self._on_readable)

    @property
    def local(self) -> Address:
        return self._local

    @property
    def max_datagram_bytes(self) -> int:
        return MAX_DATAGRAM_BYTES

    def register(
        self, first: int, last: int, handler: DatagramHandler, turn_over: Callable[[], None] | None = None
    ) -> None:
        self._registry.register(first, last, handler, turn_over)

    def send_batch(self, local: Address | None, remote: Address, segment_bytes: int, buffers: Sequence[Buffer]) -> int:
        if not 0 < segment_bytes <= MAX_DATAGRAM_BYTES:
            return 0
        target = self._sockaddrs.get((remote.host, remote.port))
        if target is None:
            target = self._remember_sockaddr(remote)
        ancillary = self._source(local) if self._has_pktinfo and local is not None else []
        if sum(map(len, buffers)) <= segment_bytes:
            return self._send_one(buffers, ancillary, target)
        taken = 0
        with_gso = self.has_gso and target not in self._without_gso
        for call in calls_of(buffers, segment_bytes) if with_gso else ():
            total = sum(len(buffer) for buffer in call)
            count = -(-total // segment_bytes)
            if count == 1:
                taken += self._send_one(call, ancillary, target)
                continue
            size = (SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment_bytes))
            try:
                self._send(call, ancillary, [size], target)
                taken += count
            except OSError as exc:
                if exc.errno in _GSO_REFUSED:
                    singly = self._send_singly(call, segment_bytes, ancillary, target)
                    if singly:  # so it was the batch that was refused
                        self._stop_gso(target)
                    taken += singly
        if not with_gso:
            taken = self._send_singly(buffers, segment_bytes, ancillary, target)
        return taken

    def send_short(self, remote: Address, data: Buffer, hop_limit: int) -> bool:
        if self._sock.fileno() < 0:
            return False
        _, target = to_sockaddr(remote.host, remote.port, str(remote))
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if self._is_v6 else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        try:
            usual = self._sock.getsockopt(level, option)
            self._sock.setsockopt(level, option, hop_limit)
            try:
                self._sock.sendto(data, target)
            finally:
                self._sock.setsockopt(level, option, usual)
        except OSError:
            return False
        return True

    async def open_more(self, n: int) -> Sequence[DatagramEndpoint]:
        if n > MAX_MORE_SOCKETS:
            raise LimitExceeded(f"{n} sockets are too many; at most {MAX_MORE_SOCKETS} can be opened at once")
        opened: list[DatagramEndpoint] = []
        try:
            for _ in range(n):
                opened.append(await open_datagrams(self._local.host, 0, self._clock))
        except BaseException:
            for endpoint in opened:
                endpoint.close()
            raise
        return opened

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _send_singly(
        self, buffers: Sequence[Buffer], segment_bytes: int, ancillary: list[tuple[int, int, bytes]], target: SockAddr
    ) -> int:
        return sum(self._send_one([segment], ancillary, target) for segment in segments_of(buffers, segment_bytes))

    def _send_one(self, buffers: Sequence[Buffer], ancillary: list[tuple[int, int, bytes]], target: SockAddr) -> bool:
        try:
            self._send(buffers, ancillary, [], target)
        except OSError:  # the system's buffer is full, no route, too large for the interface: dropped, as networks do
            return False
        return True

    def _send(
        self,
        buffers: Sequence[Buffer],
        source: list[tuple[int, int, bytes]],
        size: list[tuple[int, int, bytes]],
        target: SockAddr,
    ) -> None:
        try:
            self._sock.sendmsg(buffers, source + size, 0, target)
        except OSError as exc:
            if not source or exc.errno not in _SOURCE_REFUSED:
                raise
            self._sock.sendmsg(buffers, size, 0, target)  # that address is ours no more: from whichever there is

    def _on_readable(self) -> None:
        buffer, sock, registry = self._buffer, self._sock, self._registry
        try:
            for at in range(RECEIVES_PER_TURN):
                try:
                    count, ancillary, _, source = sock.recvmsg_into([buffer], _ANCILLARY_BYTES)
                except (BlockingIOError, InterruptedError):
                    self._is_crowded = self._is_crowded and at > 1
                    return
                except OSError:
                    if sock.fileno() < 0:  # a handler closed us
                        return
                    continue  # an ICMP error of an earlier datagram; the next call reads on
                remote = self._remotes.get(source)
                if remote is None:
                    remote = self._remember_remote(source)
                local, segment_bytes = self._local, count
                for level, kind, data in ancillary:
                    if level == SOL_UDP and kind == UDP_GRO:
                        segment_bytes = int.from_bytes(data[:4], sys.byteorder)
                    else:
                        local = self._local_of(kind, data)
                registry.dispatch(memoryview(buffer)[:count], segment_bytes, local, remote, self._clock.now())
                if at:
                    self._is_crowded = True
                elif count < SMALL_BYTES and not self._is_crowded:
                    self._lone_turns += 1
                    if self._lone_turns % LOOK_EVERY:
                        return
        finally:
            registry.turn_over()

    def _ask_for_pktinfo(self) -> bool:
        level, option = (socket.IPPROTO_IPV6, IPV6_RECVPKTINFO) if self._is_v6 else (socket.IPPROTO_IP, IP_PKTINFO)
        return self._try_option(level, option, 1)

    def _has(self, option: int, value: int) -> bool:
        return self._try_option(SOL_UDP, option, value)

    def _try_option(self, level: int, option: int, value: int) -> bool:
        if sys.platform != "linux":
            return False  # the numbers mean something else there
        try:
            self._sock.setsockopt(level, option, value)
        except OSError:
            return False
        return True

    def _source(self, local: Address) -> list[tuple[int, int, bytes]]:
        """The control message that chooses the source address."""
        host = local.host.partition("%")[0]
        try:
            if self._is_v6:
                return [
                    (
                        socket.IPPROTO_IPV6,
                        IPV6_PKTINFO,
                        struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, host), 0),
                    )
                ]
            return [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, socket.inet_aton(host), bytes(4)))]
        except OSError:
            return []  # of the other family: the system chooses

    def _local_of(self, kind: int, data: bytes) -> Address:
        """The address at which a wildcard socket was asked."""
        raw = data[:16] if self._is_v6 else data[4:8]
        local = self._locals.get(raw)
        if local is None:
            if kind not in (IP_PKTINFO, IPV6_PKTINFO) or len(raw) != (16 if self._is_v6 else 4):
                return self._local
            if len(self._locals) >= MAX_CACHED_ADDRESSES:
                self._locals.clear()
            host = socket.inet_ntop(self._sock.family, raw)
            local = self._locals[raw] = Address("udp", host, self._local.port)
        return local

    def _remember_remote(self, source: SockAddr) -> Address:
        if len(self._remotes) >= MAX_CACHED_ADDRESSES:
            self._remotes.clear()
        remote = self._remotes[source] = from_sockaddr("udp", source)
        return remote

    def _remember_sockaddr(self, remote: Address) -> SockAddr:
        _, sockaddr = to_sockaddr(remote.host, remote.port, str(remote))
        if len(self._sockaddrs) >= MAX_CACHED_ADDRESSES:
            self._sockaddrs.clear()
        self._sockaddrs[remote.host, remote.port] = sockaddr
        return sockaddr

    def _stop_gso(self, target: SockAddr) -> None:
        if len(self._without_gso) >= MAX_CACHED_ADDRESSES:
            self._without_gso.clear()
        self._without_gso.add(target)


if TYPE_CHECKING:
    _fits: type[DatagramEndpoint] = BatchEndpoint
    _limits_hops: type[HopLimitedEndpoint] = BatchEndpoint
