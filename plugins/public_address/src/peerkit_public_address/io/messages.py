"""Messages on a stream: 2 bytes of length, then the message."""

from peerkit.errors import RemoteProtocolError
from peerkit.session import Stream

from ..codec import MAX_MESSAGE_BYTES


async def write_message(stream: Stream, message: bytes) -> None:
    await stream.write(len(message).to_bytes(2, "big") + message)


async def read_message(stream: Stream) -> bytes:
    """Raises `RemoteProtocolError` when it is too long or the stream ends within it."""
    length = int.from_bytes(await stream.read_exactly(2), "big")
    if length > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"a message of {length} bytes is longer than {MAX_MESSAGE_BYTES}")
    return await stream.read_exactly(length) if length else b""
