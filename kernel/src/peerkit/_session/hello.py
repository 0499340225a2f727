"""The Hello: the first message of each side, inside the handshake, and what both sides conclude from the two.

    prologue = "peerkit" ‖ version u32 ‖ first offered version u32 ‖ network id(32) ‖ pipe binding

binds everything that an attacker could bend, so a downgrade or a man in the middle makes the handshake fail.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .. import codec
from ..errors import PluginLoadError, RemoteProtocolError
from ..protocol import MAX_PROTOCOL_ID_CHARS, MAX_VERSION_CHARS, Agreement, Offer, ProtocolSpec, negotiate
from ..security import Aead
from ..session import Purpose
from .mux import MIN_WINDOW

VERSION = 1
MAX_HELLO_BYTES = 7_900  # with pattern byte, keys, tags and certificate it fits a handshake message of 8 KiB
MAX_WINDOW_BYTES = 1 << 40  # a peer may allow us much, but its numbers stay in 64 bits


@dataclass(frozen=True, slots=True)
class Terms:
    """What one side offers.

    Attributes:
        window, session_window: bytes that a stream, and all streams together, may have unread at this side at first.
        max_streams: streams that the other side may have open at once.
    """

    aeads: tuple[Aead, ...]
    protocols: Mapping[str, ProtocolSpec]
    wrappers: tuple[str, ...] = ()
    window: int = 1 << 18
    session_window: int = 1 << 18
    max_streams: int = 256


@dataclass(frozen=True, slots=True)
class Agreed:
    """What holds for one session.

    Attributes:
        protocols: agreed ids in the order of their indexes on the wire.
        agreement: versions of the other side, and which mandatory protocols are missing.
        clock_ahead_s: how far the other side's wall clock is ahead of ours.
    """

    aead: Aead
    purpose: Purpose
    protocols: tuple[str, ...]
    agreement: Agreement
    peer_window: int
    peer_session_window: int
    peer_max_streams: int
    clock_ahead_s: float


def prologue(network_id: bytes, binding: bytes, offered: int = VERSION) -> bytes:
    return b"peerkit" + struct.pack("!II", VERSION, offered) + network_id + binding


def encode(terms: Terms, purpose: Purpose, now_wall: float) -> bytes:
    """Our Hello.  Its clock is in whole seconds, so the bytes can be kept for one."""
    return codec.encode_hello(
        codec.HelloFields(
            0,
            tuple(int(a) for a in terms.aeads),
            purpose.value,
            tuple((s.id, s.version, s.accepts, s.mandatory) for s in terms.protocols.values()),
            int(now_wall) * 1000,
            terms.window,
            terms.session_window,
            terms.max_streams,
            terms.wrappers,
        )
    )


def check_room(terms: Terms) -> None:
    """Raises `PluginLoadError` when our protocols do not fit a Hello: nobody could be connected to."""
    size = len(encode(terms, Purpose.MEMBER, 0.0))
    if size > MAX_HELLO_BYTES:
        raise PluginLoadError(
            [
                f"{len(terms.protocols)} protocols are too many: the Hello that offers them has room for"
                f" {MAX_HELLO_BYTES:,} bytes, and they take {size:,}; disable a plugin"
            ]
        )


@lru_cache(maxsize=256)
def _parse_offers(raw: tuple[tuple[str, str, str, bool], ...]) -> Mapping[str, Offer]:
    offers: dict[str, Offer] = {}
    for id, version, accepts, mandatory in raw:
        if not 1 <= len(id) <= MAX_PROTOCOL_ID_CHARS or len(version) > MAX_VERSION_CHARS or len(accepts) > 128:
            raise RemoteProtocolError("a Hello offers a protocol with a name or version that is too long")
        if id in offers:
            raise RemoteProtocolError(f"a Hello offers {id} twice")
        offers[id] = Offer(id, version, accepts, mandatory)
    return offers


def agree(ours: Terms, is_dialer: bool, our_purpose: Purpose, payload: bytes, now_wall: float) -> Agreed:
    """Conclude from the other side's Hello.  Both sides come to the same result.

    Raises:
        RemoteProtocolError: malformed, no common cipher, other wrappers, or a member session without a protocol that is
            mandatory on one side.
    """
    if len(payload) > MAX_HELLO_BYTES:
        raise RemoteProtocolError(f"a Hello of {len(payload)} bytes is too long")
    theirs = codec.decode_hello(payload)
    try:
        purpose = our_purpose if is_dialer else Purpose(theirs.purpose)
    except ValueError:
        raise RemoteProtocolError(f"a Hello with the unknown purpose {theirs.purpose}") from None
    first, second = (ours.aeads, theirs.aeads) if is_dialer else (theirs.aeads, ours.aeads)
    aead = next((a for a in first if a in second and a in ours.aeads), None)
    if aead is None:
        raise RemoteProtocolError("the peer offers no cipher that we use")
    if theirs.wrappers != ours.wrappers:
        raise RemoteProtocolError(
            f"the peer wraps its packets as {_words(theirs.wrappers)}, we as {_words(ours.wrappers)}"
        )
    if (
        not MIN_WINDOW <= theirs.stream_window <= MAX_WINDOW_BYTES
        or not MIN_WINDOW <= theirs.session_window <= MAX_WINDOW_BYTES
    ):
        raise RemoteProtocolError("a Hello with an impossible window")
    agreement = negotiate(ours.protocols, _parse_offers(theirs.protocols))
    if purpose is Purpose.MEMBER and agreement.refused:
        raise RemoteProtocolError("; ".join(agreement.refused))
    return Agreed(
        Aead(aead),
        purpose,
        tuple(sorted(agreement.protocols)),
        agreement,
        theirs.stream_window,
        theirs.session_window,
        theirs.max_streams,
        theirs.clock_ms / 1000 - now_wall,
    )


def _words(names: Sequence[str]) -> str:
    return ", ".join(n[:32] for n in names) if names else "nothing"
