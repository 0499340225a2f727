"""The asking side of dial-backs: one request, and what arrives because of it."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from peerkit.address import Address
from peerkit.errors import PeerkitError, RemoteProtocolError
from peerkit.plugin import PluginContext
from peerkit.session import Peer, Session, Stream
from peerkit.transport import DatagramEndpoint

from ..arrival import ARRIVAL, ARRIVAL_BYTES, LAST_FIRST_BYTE, TOKEN_BYTES, Arrival
from ..codec import DialBack, Status, decode_reply, encode_dial_back, encode_proof
from ..contacts import Contacts
from ..server import PROOF_S, SENDINGS_S
from ..settings import PublicAddressSettings
from ..trials import Origin
from .messages import read_message, write_message
from .serving import CHUNK_BYTES, DIAL_S, PAYMENT_S, PROTOCOL

VERDICT_S = SENDINGS_S[-1] + DIAL_S + PROOF_S + 5.0  # a server's own deadlines, and the way to it

WORDS = {
    Status.NOT_ARRIVED: "nothing arrived",
    Status.ARRIVED: "the server says that it arrived, but nothing did",
    Status.REFUSED: "the server does not send there",
    Status.BUSY: "the server has too many requests",
    Status.NO_HELPER: "the server has no peer at another IP that would send it",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one request.

    Attributes:
        arrived: `None`: it says nothing of the address.
        reason: why it did not arrive, for a person.
    """

    arrived: bool | None
    reason: str = ""


@dataclass(slots=True)
class _Waiting:
    """A request that is under way."""

    is_fresh: Callable[[Address], bool]
    nonce: "asyncio.Future[bytes]"
    stale: str = ""  # something arrived from where our router lets everything in


class Trying:
    """Sends requests and catches what arrives."""

    def __init__(self, ctx: PluginContext[PublicAddressSettings], contacts: Contacts) -> None:
        self._ctx = ctx
        self._contacts = contacts
        self._waiting: dict[bytes, _Waiting] = {}

    async def try_address(self, peer: Peer, address: Address, origin: Origin) -> Tried:
        """Ask `peer` to reach us at `address`."""
        session = peer.session
        token = self._ctx.rng.randbytes(TOKEN_BYTES)
        nonce: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[token] = _Waiting(partial(self._is_fresh, session, origin), nonce)
        try:
            stream = await session.open_stream(PROTOCOL)
            try:
                return await self._ask(stream, DialBack(address, token, origin), waiting)
            finally:
                stream.reset()
        except TimeoutError:
            return Tried(None, "the server did not answer in time")
        except PeerkitError as exc:
            return Tried(None, str(exc))
        finally:
            del self._waiting[token]

    async def _ask(self, stream: Stream, request: DialBack, waiting: _Waiting) -> Tried:
        async with asyncio.timeout(self._ctx.settings.request_timeout_s):
            await write_message(stream, encode_dial_back(request))
            reply = decode_reply(await read_message(stream))
        if reply.status is Status.PAY:
            async with asyncio.timeout(PAYMENT_S):
                for at in range(0, reply.owed_bytes, CHUNK_BYTES):
                    await stream.write(bytes(min(CHUNK_BYTES, reply.owed_bytes - at)))
                reply = decode_reply(await read_message(stream))
        if reply.status is not Status.TRYING:
            return Tried(None, WORDS.get(reply.status, "the server makes no sense"))
        stop_proving = self._ctx.spawn(self._prove(stream, waiting), "prove")
        try:
            async with asyncio.timeout(VERDICT_S):
                reply = decode_reply(await read_message(stream))
        finally:
            stop_proving()
        if waiting.nonce.done() and not waiting.nonce.cancelled():
            return Tried(True)
        if waiting.stale:
            return Tried(None, waiting.stale)
        return Tried(False, WORDS.get(reply.status, "the server makes no sense"))

    async def _prove(self, stream: Stream, waiting: _Waiting) -> None:
        with contextlib.suppress(PeerkitError):  # who reads the reply learns of it
            await write_message(stream, encode_proof(await waiting.nonce))

    # -- what arrives --------------------------------------------------------------------------------------------

    def watch(self, endpoint: DatagramEndpoint) -> None:
        endpoint.register(ARRIVAL, LAST_FIRST_BYTE, self._receive)

    def _receive(self, batch: memoryview, segment_bytes: int, local: Address, remote: Address, now: float) -> None:
        if segment_bytes == ARRIVAL_BYTES:
            for at in range(0, len(batch), segment_bytes):
                self._arrived(bytes(batch[at : at + segment_bytes]), remote)

    def message(self, session: Session, payload: bytes) -> None:
        """A dial-back over a stream transport: the only message of a session that the server dialled for it."""
        if not session.is_dialer:
            self._arrived(payload, session.remote)

    def _arrived(self, packet: bytes, remote: Address) -> None:
        try:
            arrival = Arrival.from_bytes(packet)
        except RemoteProtocolError:
            return
        waiting = self._waiting.get(arrival.token)
        if waiting is None or waiting.nonce.done():
            return
        if waiting.is_fresh(remote):
            waiting.nonce.set_result(arrival.nonce)
        else:
            waiting.stale = f"it came from {remote.host}, to which we have sent: any router lets that in"

    def _is_fresh(self, server: Session, origin: Origin, remote: Address) -> bool:
        """Whether a packet from there proves what was asked: a server may send from where our router lets it in."""
        if origin is Origin.OTHER_PORT:
            return (remote.host, remote.port) != (server.remote.host, server.remote.port)
        members = {peer.session.remote.host for peer in self._ctx.pool.peers()}
        return remote.host not in members and not self._contacts.had_with(remote.host)
