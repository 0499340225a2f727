"""The machine's own IP addresses, without a library and without opening a file.

Linux tells all of them over a netlink socket (rtnetlink(7), RTM_GETADDR).  Elsewhere, and where that is forbidden, the
system is asked which address it would use towards the internet (no packet is sent), and loopback is added.
"""

import contextlib
import ipaddress
import socket
import struct
import sys

_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_DONE, _NLMSG_ERROR = 3, 2
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_NOT_USABLE = 0x08 | 0x20 | 0x40  # duplicate, deprecated or still tentative (RFC 4862)
_LINK_LOCAL_SCOPE = 253
MAX_ADDRESSES = 256
MAX_REPLIES = 64


def interface_addresses() -> tuple[str, ...]:
    """Numeric addresses, loopback included; IPv6 link-local ones with their zone (`fe80::1%eth0`)."""
    found: list[str] = []
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            found = _ask_netlink()
    return tuple(dict.fromkeys(found or _ask_routes()))[:MAX_ADDRESSES]


def _ask_netlink() -> list[str]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:  # NETLINK_ROUTE
        sock.settimeout(1.0)  # the kernel answers at once or never
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHIIBxxxI", 24, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0, socket.AF_UNSPEC, 0))
        found: list[str] = []
        for _ in range(MAX_REPLIES):
            data = sock.recv(65_536)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
                    return found
                if kind == _RTM_NEWADDR:
                    found += _addresses_in(data[at + 16 : at + length])
                at += (length + 3) & ~3
        return found


def _addresses_in(message: bytes) -> list[str]:
    family, _, flags, scope, index = struct.unpack_from("=BBBBI", message)
    attributes: dict[int, bytes] = {}
    at = 8
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        attributes[kind] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    if len(attributes.get(_IFA_FLAGS, b"")) == 4:
        (flags,) = struct.unpack("=I", attributes[_IFA_FLAGS])
    raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
    if family not in (socket.AF_INET, socket.AF_INET6) or len(raw) not in (4, 16) or flags & _NOT_USABLE:
        return []
    text = str(ipaddress.ip_address(raw))
    return [
        f"{text}%{socket.if_indextoname(index)}" if family == socket.AF_INET6 and scope == _LINK_LOCAL_SCOPE else text
    ]


def _ask_routes() -> list[str]:
    found = ["127.0.0.1", "::1"] if socket.has_ipv6 else ["127.0.0.1"]
    # documentation addresses (RFC 5737, RFC 3849): routed by default, owned by nobody
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((target, 9))
            found.append(str(sock.getsockname()[0]))
    return found
