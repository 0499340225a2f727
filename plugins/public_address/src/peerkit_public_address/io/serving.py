"""The serving side of dial-backs: one stream for each request."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from peerkit.address import Address
from peerkit.address_space import is_public
from peerkit.capabilities import DATAGRAM_ENDPOINTS, DIALER
from peerkit.errors import DeadlineExceeded, PeerkitError, RemoteProtocolError
from peerkit.plugin import PluginContext
from peerkit.session import Peer, Session, Stream
from peerkit.transport import PathKind
from peerkit.trust import Action, Question

from ..arrival import ARRIVAL_BYTES, NONCE_BYTES, Arrival
from ..codec import (
    DialBack,
    Reply,
    Status,
    decode_dial_back,
    decode_proof,
    decode_reply,
    encode_dial_back,
    encode_proof,
    encode_reply,
)
from ..server import PROOF_S, SENDINGS_S, Server
from ..settings import PublicAddressSettings
from ..trials import Origin
from .messages import read_message, write_message

PROTOCOL = "peerkit/public-address"
PAYMENT_S = 40.0  # 100 KB at 2.5 KB/s
TOTAL_S = PAYMENT_S + 20.0  # of one request
DIAL_S = 5.0
CHUNK_BYTES = 16_384


def seen_at(session: Session) -> Address | None:
    """Where the peer is, as proven by the session's active path; `None` through a relay."""
    return None if session.paths[0].kind is PathKind.RELAYED else session.remote


class Serving:
    """Args:
    schemes: what we can dial or send to now.
    """

    def __init__(self, ctx: PluginContext[PublicAddressSettings], schemes: Callable[[], Collection[str]]) -> None:
        self._ctx = ctx
        self._schemes = schemes
        self._dialer = ctx.require(DIALER)
        self._endpoints = ctx.require(DATAGRAM_ENDPOINTS)
        self.server = Server(ctx.rng)
        self.served = 0

    async def serve(self, stream: Stream) -> None:
        """One request, from the first message to the last reply."""
        try:
            await self._serve(stream)
        except TimeoutError:
            raise DeadlineExceeded("a dial-back", TOTAL_S) from None

    async def _serve(self, stream: Stream) -> None:
        async with asyncio.timeout(TOTAL_S):
            request = decode_dial_back(await read_message(stream))
            reply = self._decide(request, stream.session)
            if reply.status is Status.PAY:
                await write_message(stream, encode_reply(reply))
                await _take(stream, reply.owed_bytes)
                reply = Reply(Status.TRYING)
            if reply.status is Status.TRYING:
                self.served += 1
                reply = Reply(await self._dial_back(request, stream))
            await write_message(stream, encode_reply(reply))

    def _decide(self, request: DialBack, session: Session) -> Reply:
        target, asker = request.target, session.peer_id
        reply = self.server.decide(request, asker, seen_at(session), self._schemes(), self._ctx.clock.now())
        if reply.status in (Status.PAY, Status.TRYING):
            is_ours = self._has_family_of(target)
            if not is_ours or not self._ctx.check(Question(Action.DIAL, asker, target, PROTOCOL)).allow:
                return Reply(Status.REFUSED)
        return reply

    def _has_family_of(self, target: Address) -> bool:
        """A "no" for want of IPv6 here would say nothing of the asker."""
        if not is_public(target.host):
            return True
        own = self._ctx.network.interface_addresses()
        return any(is_public(h) for h in own) if ":" in target.host else any(":" not in h for h in own)

    async def _dial_back(self, request: DialBack, stream: Stream) -> Status:
        if request.origin is Origin.OTHER_ADDRESS:
            return await self._through_helper(request, stream)
        await write_message(stream, encode_reply(Reply(Status.TRYING)))
        arrival = Arrival(request.token, self._ctx.rng.randbytes(NONCE_BYTES))
        try:
            if request.target.scheme == "udp":
                has_proof = await self._by_datagram(request.target, arrival, stream)
            else:
                has_proof = await self._by_session(request.target, arrival, stream)
        except (TimeoutError, PeerkitError) as exc:
            self._ctx.log.debug("dial-back failed", target=str(request.target), reason=str(exc))
            has_proof = False
        return Status.ARRIVED if has_proof else Status.NOT_ARRIVED

    async def _by_datagram(self, target: Address, arrival: Arrival, stream: Stream) -> bool:
        shared = await self._endpoints.towards(target)
        (fresh,) = await shared.open_more(1)
        packet = arrival.to_bytes()

        def send() -> None:
            fresh.send_batch(None, target, ARRIVAL_BYTES, [packet])

        cancels = [self._ctx.call_later(at, send) for at in SENDINGS_S]
        try:
            async with asyncio.timeout(SENDINGS_S[-1] + PROOF_S):
                return decode_proof(await read_message(stream)) == arrival.nonce
        finally:
            for cancel in cancels:
                cancel()
            fresh.close()

    async def _by_session(self, target: Address, arrival: Arrival, stream: Stream) -> bool:
        """A handshake of its own proves that the asker, and nobody else, answers there."""
        async with self._dialer.probe(target.with_peer(stream.session.peer_id), DIAL_S) as session:
            await session.send(PROTOCOL, arrival.to_bytes())
            async with asyncio.timeout(PROOF_S):
                return decode_proof(await read_message(stream)) == arrival.nonce

    # -- through a peer at another IP ----------------------------------------------------------------------------

    async def _through_helper(self, request: DialBack, stream: Stream) -> Status:
        """Be the asker's hand towards one of our peers: the helper's price, the asker's bytes and its proof pass
        through."""
        helper = self._choose_helper(request.target, stream.session)
        if helper is None:
            return Status.NO_HELPER
        onward = DialBack(request.target, request.token, Origin.OTHER_PORT)
        try:
            theirs = await helper.open_stream(PROTOCOL)
        except PeerkitError:
            return Status.NO_HELPER
        try:
            async with asyncio.timeout(self._ctx.settings.request_timeout_s):
                await write_message(theirs, encode_dial_back(onward))
                reply = decode_reply(await read_message(theirs))
            if reply.status is Status.PAY:
                await write_message(stream, encode_reply(reply))
                await _take(stream, reply.owed_bytes, theirs)
                reply = decode_reply(await read_message(theirs))
            if reply.status is not Status.TRYING:
                return Status.NO_HELPER
            await write_message(stream, encode_reply(reply))
            stop_passing = self._ctx.spawn(self._pass_proof(stream, theirs), "pass a proof")
            try:
                reply = decode_reply(await read_message(theirs))
            finally:
                stop_passing()
            return Status.ARRIVED if reply.status is Status.ARRIVED else Status.NOT_ARRIVED
        finally:
            theirs.reset()

    async def _pass_proof(self, stream: Stream, theirs: Stream) -> None:
        with contextlib.suppress(PeerkitError):  # then none comes, and the helper says so
            await write_message(theirs, encode_proof(decode_proof(await read_message(stream))))

    def _choose_helper(self, target: Address, asker: Session) -> Peer | None:
        own = set(self._ctx.network.interface_addresses())
        fit = [
            peer
            for peer in self._ctx.pool.peers()
            if PROTOCOL in peer.protocols
            and peer.id != asker.peer_id
            and (seen := seen_at(peer.session)) is not None
            and is_public(seen.host)
            and seen.host not in own
            and seen.host != target.host
            and (":" in seen.host) == (":" in target.host)
        ]
        return self._ctx.rng.choice(fit) if fit else None


async def _take(stream: Stream, count: int, onto: Stream | None = None) -> None:
    """Let the asker pay.  Raises `RemoteProtocolError` when it stops before the end."""
    while count:
        chunk = await stream.read(min(count, CHUNK_BYTES))
        if not chunk:
            raise RemoteProtocolError("an asker did not pay for its dial-back")
        count -= len(chunk)
        if onto is not None:
            await onto.write(chunk)
