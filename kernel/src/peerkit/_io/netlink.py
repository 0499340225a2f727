"""What Linux tells of interfaces, addresses and routes over a netlink socket (rtnetlink(7)), without a library and
without opening a file."""

import socket
import struct
from collections.abc import Iterator, Mapping

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE = 18, 22, 26  # an answer's type is its question's less 2
_NLMSG_DONE, _NLMSG_ERROR = 3, 2
_NLM_F_REQUEST_DUMP = 0x301
_HEADER_BYTES = {RTM_GETLINK: 16, RTM_GETADDR: 8, RTM_GETROUTE: 12}
MAX_REPLIES = 64  # of up to 64 KiB each: a router with the whole internet's table is not read to its end


def dump(question: int, family: int = socket.AF_UNSPEC) -> Iterator[tuple[bytes, Mapping[int, bytes]]]:
    """Every entry: its fixed header and its attributes.

    Args:
        question: one of the `RTM_GET…` above.

    Raises:
        OSError: this system has no netlink, or forbids it.
    """
    size = _HEADER_BYTES[question]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:  # NETLINK_ROUTE
        sock.settimeout(1.0)  # the kernel answers at once or never
        sock.bind((0, 0))
        body = bytes([family]).ljust(size, b"\0")
        sock.send(struct.pack("=IHHII", 16 + size, question, _NLM_F_REQUEST_DUMP, 1, 0) + body)
        for _ in range(MAX_REPLIES):
            data = sock.recv(65_536)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
                    return
                if kind == question - 2 and length >= 16 + size:
                    message = data[at + 16 : at + length]
                    yield message[:size], _attributes(message, size)
                at += (length + 3) & ~3


def _attributes(message: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        found[kind] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    return found
