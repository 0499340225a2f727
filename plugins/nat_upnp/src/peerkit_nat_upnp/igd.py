"""The words of UPnP Internet Gateway Devices, versions 1 and 2: SSDP, the description, and the actions (SOAP).

    M-SEARCH (UDP 1900)  ──▶ router: LOCATION ──▶ GET description: services and their control URLs ──▶ POST actions

Sources: UPnP Device Architecture 1.1 §1.3, WANIPConnection:1 and :2, WANIPv6FirewallControl:1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from peerkit.errors import RemoteProtocolError

from .trusted import RouterUrl, router_url
from .xml_tree import Element, parse

SSDP_PORT = 1_900
SSDP_GROUP_V4, SSDP_GROUP_V6 = "239.255.255.250", "ff02::c"
MAX_SSDP_BYTES = 2_048
DEVICES = ("urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2")
CONNECTIONS = (  # the best first
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
FIREWALL_V6 = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"
NO_SUCH_ENTRY, CONFLICT, SAME_PORT, ONLY_PERMANENT = 714, 718, 724, 725
ERRORS = {
    401: "invalid action",
    402: "invalid arguments",
    501: "action failed",
    606: "not authorised",
    NO_SUCH_ENTRY: "no such mapping",
    CONFLICT: "the port is another's",
    SAME_PORT: "external and internal port must be the same",
    ONLY_PERMANENT: "only permanent mappings",
    728: "no ports left",
}


class ActionRefused(RemoteProtocolError):
    """Attributes:
    error: UPnP's number.
    """

    def __init__(self, action: str, error: int) -> None:
        super().__init__(f"{action}: {ERRORS.get(error, f'error {error}')}")
        self.error = error


@dataclass(frozen=True, slots=True)
class Service:
    """Attributes:
    type: its URN.
    control: where its actions are sent.
    """

    type: str
    control: RouterUrl


def search(host: str, device: str) -> bytes:
    """Ask who is such a device.

    Args:
        host: where this is sent: a group, or the router itself.
    """
    where = f"[{host}]" if ":" in host else host
    lines = ("M-SEARCH * HTTP/1.1", f"HOST: {where}:{SSDP_PORT}", 'MAN: "ssdp:discover"', "MX: 1", f"ST: {device}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def location(data: bytes) -> str:
    """Of the description, in a router's answer to `search`.  Raises `RemoteProtocolError`."""
    if len(data) > MAX_SSDP_BYTES or not data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        raise RemoteProtocolError("this is no answer to a search")
    fields: dict[str, str] = {}
    for line in data.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    if fields.get("st", "") not in DEVICES or not fields.get("location"):
        raise RemoteProtocolError("an answer to a search that says nothing of a gateway")
    return fields["location"]


def services(description: bytes, router: str, base: str) -> Mapping[str, Service]:
    """By type; only those that we use, and none whose control URL is not on the router.

    Args:
        base: the description's own URL, which relative ones complete.
    """
    found: dict[str, Service] = {}
    for element in parse(description).all("service"):
        kind = element.find_text("serviceType")
        if kind in (*CONNECTIONS, FIREWALL_V6):
            found.setdefault(kind, Service(kind, router_url(element.find_text("controlURL"), router, base)))
    return found


def action(service: Service, name: str, arguments: Mapping[str, str | int]) -> tuple[Mapping[str, str], bytes]:
    """Headers and body of the POST to `service.control`."""
    words = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in arguments.items())
    body = (
        '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{name} xmlns:u="{service.type}">{words}</u:{name}></s:Body></s:Envelope>\r\n'
    )
    headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{service.type}#{name}"'}
    return headers, body.encode("utf-8")


def answer(name: str, status: int, body: bytes) -> Element:
    """What the action returned.  Raises `ActionRefused`, `RemoteProtocolError`."""
    if status not in (200, 500):
        raise RemoteProtocolError(f"{name}: the router answers with HTTP status {status}")
    root = parse(body)
    code = root.find_text("errorCode")
    if code or status == 500:
        raise ActionRefused(name, int(code) if code.isdecimal() and len(code) <= 5 else 0)
    for found in root.all(f"{name}Response"):
        return found
    raise RemoteProtocolError(f"{name}: the router's answer is none to it")


def port_of(text: str) -> int:
    """Raises `RemoteProtocolError`."""
    if not text.isdecimal() or len(text) > 5 or not 0 < int(text) < 65_536:
        raise RemoteProtocolError("the router names a port that is none")
    return int(text)
