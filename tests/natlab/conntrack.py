"""What a router remembers of connections, forgotten on demand: ctnetlink's one message for it, without a tool."""

import socket
import struct
from typing import Self

from tests.netns.space import Space

_NETLINK_NETFILTER = 12  # linux/netlink.h
_NLM_F_REQUEST_ACK = 5
_NESTED = 0x8000
_DELETE = 1 << 8 | 2  # linux/netfilter/nfnetlink_conntrack.h: subsystem ctnetlink, IPCTNL_MSG_CT_DELETE
_TUPLE_ORIG, _TUPLE_IP, _IP_V4 = 1, 1, (1, 2)  # source, destination
_FILTER, _FILTER_ORIG_FLAGS = 25, 1
_ANSWER_BYTES = 4_096


class Conntrack:
    """The connection tracking of a namespace.  Use it in a `with` block."""

    def __init__(self, space: Space) -> None:
        self._sock = space.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._sock.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def forget_all(self) -> None:
        self._delete(b"")

    def forget(self, remote: str) -> None:
        """Forget the connections that were opened to an IPv4 address or from it.  Needs Linux 5.8."""
        for flag, attribute in enumerate(_IP_V4):
            ip = _attribute(_TUPLE_IP | _NESTED, _attribute(attribute, socket.inet_aton(remote)))
            flags = _attribute(_FILTER_ORIG_FLAGS, struct.pack("=I", 1 << flag))
            self._delete(_attribute(_TUPLE_ORIG | _NESTED, ip) + _attribute(_FILTER | _NESTED, flags))

    def _delete(self, attributes: bytes) -> None:
        header = struct.pack("=IHHII", 20 + len(attributes), _DELETE, _NLM_F_REQUEST_ACK, 1, 0)
        self._sock.send(header + struct.pack("=BBH", socket.AF_INET, 0, 0) + attributes)
        (error,) = struct.unpack_from("=i", self._sock.recv(_ANSWER_BYTES), 16)
        if error:
            raise OSError(-error, "connections cannot be forgotten")


def _attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data.ljust((len(data) + 3) & ~3, b"\0")
