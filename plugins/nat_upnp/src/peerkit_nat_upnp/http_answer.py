"""One HTTP/1.1 answer, read as it comes.  Sans-IO.

Accepted is what a router needs: a status, a length or chunks or the end of the connection.  A redirect is an error
like any other, so nobody is sent elsewhere.
"""

from peerkit.errors import RemoteProtocolError

from .trusted import RouterUrl

MAX_HEAD_BYTES = 8_192
MAX_BODY_BYTES = 65_536  # stops a router that never stops sending
_END = b"\r\n\r\n"


def request(method: str, url: RouterUrl, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {url.path} HTTP/1.1", f"Host: {url.host_header}", "Connection: close", "User-Agent: UPnP/2.0"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class HttpAnswer:
    """Feed it with `receive_data`; `is_whole` tells the end.

    Attributes:
        status: 0 until the head is there.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._body_at = 0
        self._length: int | None = None
        self._is_chunked = False
        self._is_ended = False
        self.status = 0

    def receive_data(self, data: bytes) -> None:
        """Raises `RemoteProtocolError`: too long, or no HTTP."""
        self._data += data
        if not self.status:
            at = self._data.find(_END)
            if (at if at >= 0 else len(self._data)) > MAX_HEAD_BYTES:
                raise RemoteProtocolError("the router sends a head without end")
            if at < 0:
                return
            self._read_head(bytes(self._data[:at]))
            self._body_at = at + len(_END)
        if len(self._data) - self._body_at > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"the router sends more than {MAX_BODY_BYTES} bytes")

    def receive_end(self) -> None:
        """The connection has ended."""
        self._is_ended = True

    @property
    def is_whole(self) -> bool:
        if not self.status:
            return False
        if self._is_chunked:
            return self._dechunked() is not None
        if self._length is not None:
            return len(self._data) - self._body_at >= self._length
        return self._is_ended

    def body(self) -> bytes:
        """Raises `RemoteProtocolError`: the answer is not whole."""
        if not self.is_whole:
            raise RemoteProtocolError("the router's answer broke off")
        if self._is_chunked:
            return self._dechunked() or b""
        end = len(self._data) if self._length is None else self._body_at + self._length
        return bytes(self._data[self._body_at : end])

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
            raise RemoteProtocolError("the router's answer is not HTTP")
        for line in lines:
            name, _, value = line.partition(b":")
            name, value = name.strip().lower(), value.strip().lower()
            if name == b"content-length":
                if not value.isdigit() or len(value) > 6 or int(value) > MAX_BODY_BYTES:
                    raise RemoteProtocolError("the router announces a body that is too long")
                self._length = int(value)
            elif name == b"transfer-encoding":
                self._is_chunked = value == b"chunked"
        self.status = int(words[1])

    def _dechunked(self) -> bytes | None:
        """The body, or `None` while a chunk is missing.  Raises `RemoteProtocolError`."""
        body, at = bytearray(), self._body_at
        while (end := self._data.find(b"\r\n", at)) >= 0:
            size_text = bytes(self._data[at:end]).partition(b";")[0].strip()
            try:
                size = int(size_text, 16) if 0 < len(size_text) <= 5 else -1
            except ValueError:
                size = -1
            if size < 0:
                raise RemoteProtocolError("the router's answer has a chunk without a size")
            if size == 0:
                return bytes(body)
            at = end + 2 + size + 2
            if at > len(self._data):
                return None
            body += self._data[end + 2 : end + 2 + size]
        return None
