"""The link that people pass on: `peerkit:CONTENTID?name=…&size=…&at=PEERID@host:port`.

It names content, says what to expect, and up to three places to ask, so it is also a way in for a node that knows
nobody.  A place behind a relay is `relay+PEERID@RELAYID@host:port`; a bare `PEERID` is for nodes that can look up where
it is.  Only the content id is binding: name and size are
hints until the content proves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from peerkit import Address, PeerId
from peerkit.address import contacts_of
from peerkit.errors import UsageError
from peerkit.session import DialTarget

from .content_id import ContentId
from .merkle_tree import MAX_SIZE

SCHEME = "peerkit:"
MAX_AT = 3
MAX_LINK_CHARS = 4096
_SCHEMES = ("tcp", "udp", "tls")
_RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Link:
    """One link.

    Attributes:
        name: as the sharer calls it; unsafe until `safe_name` has seen it; empty when unknown.
        size_bytes: `None` when unknown.
        at: up to three addresses, each with the peer id that must answer there, or bare peer ids.
    """

    content: ContentId
    name: str = ""
    size_bytes: int | None = None
    at: tuple[Address | PeerId, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Link":
        """From a link, or from a bare content id.

        Raises:
            UsageError: with what is wrong.
        """
        text = text.strip()
        if not text.startswith(SCHEME):
            return cls(ContentId.parse(text))
        if len(text) > MAX_LINK_CHARS:
            raise UsageError(f"a link of {len(text)} characters is longer than {MAX_LINK_CHARS}")
        id_text, _, query = text[len(SCHEME) :].partition("?")
        content = ContentId.parse(id_text)
        name, size = "", None
        at: list[Address | PeerId] = []
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=16, errors="strict")
        except ValueError as exc:
            raise UsageError(f"{text[:80]!r} is not a link: {exc}") from None
        for key, value in pairs:
            if key == "name":
                name = value
            elif key == "size":
                size = _size(value)
            elif key == "at":
                at.append(_place(value))
        if len(at) > MAX_AT:
            raise UsageError(f"a link names {len(at)} places to ask, at most {MAX_AT} are allowed")
        return cls(content, name, size, tuple(at))

    def targets(self) -> list[DialTarget]:
        """Whom to ask first."""
        addresses = [place for place in self.at if isinstance(place, Address)]
        return [*contacts_of(addresses), *(place for place in self.at if isinstance(place, PeerId))]

    def __str__(self) -> str:
        fields = []
        if self.name:
            fields.append("name=" + quote(self.name, safe=""))
        if self.size_bytes is not None:
            fields.append(f"size={self.size_bytes}")
        for place in self.at[:MAX_AT]:
            if isinstance(place, PeerId):
                fields.append(f"at={place}")
            elif place.peer_id is not None:
                scheme = "" if place.scheme == _SCHEMES[0] else place.scheme + "+"
                where = str(place.without_peer()).partition("://")[2]
                fields.append("at=" + quote(f"{scheme}{place.peer_id}@{where}", safe="@:[]"))
        return f"{SCHEME}{self.content}" + ("?" + "&".join(fields) if fields else "")


def places(addresses: Sequence[Address]) -> tuple[Address, ...]:
    """The ones to pass on to strangers, at most `MAX_AT`: direct ones that they can dial, and where there is a relay
    one that leads over it; those of the local network when nothing else is known."""
    direct = [a for a in addresses if a.via is None and not a.is_local]
    relayed = [a for a in addresses if a.via is not None]
    if not direct and not relayed:
        return tuple(addresses[:MAX_AT])
    return (*direct[: MAX_AT - bool(relayed)], *relayed)[:MAX_AT]


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MAX_SIZE:
        raise UsageError(f"{text[:40]!r} is not the size of content in bytes")
    return int(text)


def _place(text: str) -> Address | PeerId:
    """`[scheme+]PEERID@[RELAYID@]host:port`, where the scheme is tcp unless told, or `PEERID`."""
    if "@" not in text:
        return PeerId.parse(text)
    scheme, plus, rest = text.partition("+")
    if not plus:
        scheme, rest = _SCHEMES[0], text
    peer, _, place = rest.partition("@")
    if scheme not in (*_SCHEMES, _RELAY) or not place:
        raise UsageError(f"{text[:80]!r} is not a place to ask; one looks like PEERID@192.0.2.1:4433")
    return Address.parse(f"{scheme}://{place}").with_peer(PeerId.parse(peer))
