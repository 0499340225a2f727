"""What of a router's words is believed: it is a cheap machine, or somebody who says that he is one.

Only answers from the default gateway count.  Its external address must be one of the internet, so that it cannot make
our record name a third party's private network, a multicast group or this machine; a URL that it names must lead back
to itself, so that it cannot make us send requests elsewhere.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from peerkit.errors import RemoteProtocolError

MAX_URL_CHARS = 512


@dataclass(frozen=True, slots=True)
class RouterUrl:
    """Attributes:
    host: numeric, without brackets.
    path: with the query.
    """

    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def router_url(text: str, router: str, base: str = "") -> RouterUrl:
    """Raises `RemoteProtocolError`: it is no URL of plain HTTP at `router`.

    Args:
        router: the only host that is allowed, numeric.
        base: what a relative one completes.
    """
    if not 0 < len(text) <= MAX_URL_CHARS or any(not "!" <= c <= "~" for c in text):
        raise RemoteProtocolError("the router names a URL that is none")
    try:
        parts = urlsplit(urljoin(base, text))
        host, port = parts.hostname or "", parts.port or 80
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise RemoteProtocolError(f"the router names {text[:80]!r}, which is no URL with a numeric host") from None
    if parts.scheme != "http" or parts.username is not None or ip != ipaddress.ip_address(router):
        raise RemoteProtocolError(f"the router names {text[:80]!r}, which is not its own")
    path = parts.path or "/"
    return RouterUrl(str(ip), port, f"{path}?{parts.query}" if parts.query else path)
