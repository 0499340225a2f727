"""A small XML reader for what routers send: elements and their text, without namespaces, attributes or entities.

A document type is refused as a whole, so there is nothing that could name a file or grow (XXE, billion laughs).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from peerkit.errors import RemoteProtocolError

MAX_BYTES = 65_536  # the descriptions of real routers have 2 to 20 KiB
MAX_DEPTH = 32
MAX_ELEMENTS = 4_096  # ≈ 1 MiB


@dataclass(slots=True)
class Element:
    """Attributes:
    name: without its namespace's prefix.
    text: what stands directly in it.
    """

    name: str
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Element"]:
        """This one and those below that are called so, in order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            if element.name == name:
                yield element
            waiting += reversed(element.children)

    def find_text(self, name: str) -> str:
        """The text of the first that is called so, without white space around it; else empty."""
        return next((found.text.strip() for found in self.all(name)), "")


def parse(data: bytes) -> Element:
    """Raises `RemoteProtocolError`."""
    if len(data) > MAX_BYTES:
        raise RemoteProtocolError(f"an XML document of {len(data)} bytes is longer than {MAX_BYTES}")
    root = Element("")
    open_ones = [root]
    count = 0

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS or len(open_ones) > MAX_DEPTH:
            raise RemoteProtocolError("an XML document with too many elements")
        element = Element(name.rpartition(":")[2])
        open_ones[-1].children.append(element)
        open_ones.append(element)

    def end(_name: str) -> None:
        open_ones.pop()

    def text(data: str) -> None:
        open_ones[-1].text += data

    def refuse(*_: object) -> None:
        raise RemoteProtocolError("an XML document with a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse  # type: ignore[assignment]
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as exc:
        raise RemoteProtocolError(f"what should be XML is none: {exc}") from None
    return root
