"""Cutting a batch of buffers into datagrams, and into what one system call takes."""

from collections.abc import Iterator, Sequence

from ..transport import Buffer

MAX_DATAGRAM_BYTES = 65_507  # 65,535 less the IPv4 and UDP headers
MAX_SEGMENTS_PER_CALL = 64  # UDP_MAX_SEGMENTS of Linux before 6.9
MAX_BYTES_PER_CALL = 65_000  # one super-packet must fit an IP packet with its headers


def segments_of(buffers: Sequence[Buffer], segment_bytes: int) -> Iterator[memoryview]:
    """The single datagrams.  Each buffer holds whole segments; only the last one's end may be shorter."""
    for buffer in buffers:
        view = memoryview(buffer)
        for at in range(0, len(view), segment_bytes):
            yield view[at : at + segment_bytes]


def calls_of(buffers: Sequence[Buffer], segment_bytes: int) -> Iterator[Sequence[Buffer]]:
    """Groups of buffers that one `sendmsg` with `UDP_SEGMENT` takes.  In the common case, one group: the argument."""
    limit = max(1, min(MAX_SEGMENTS_PER_CALL, MAX_BYTES_PER_CALL // segment_bytes)) * segment_bytes
    if sum(len(buffer) for buffer in buffers) <= limit:
        yield buffers
        return
    group: list[Buffer] = []
    size = 0
    for buffer in buffers:
        view = memoryview(buffer)
        while len(view):
            part = view[: limit - size]
            group.append(part)
            size += len(part)
            view = view[len(part) :]
            if size == limit:
                yield group
                group, size = [], 0
    if group:
        yield group
