"""What the two ends of a session say to each other through a coordinator, signed.

An offer is bound to its target, to the session between the two (a value that only its ends can tell), to a number that
grows with each attempt on that session, and to a time.  So nobody can make one, use one again, use one for another peer
or keep one for later.  The answer is bound to the offer's nonce.
"""

from collections.abc import Callable
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.identity import PeerId, verify
from peerkit.record import Signed

from . import codec
from .codec import MAX_SIGNED_BYTES, AnswerFields, OfferFields
from .strategy import Nat, Strategy

OFFER, ANSWER = "holepunch-offer", "holepunch-answer"
SESSION_LABEL = b"holepunch session"  # 16 bytes, exported
LIFE_S = 30.0
# Clocks differ, as they may for records; what stops a second use within this time is the number.
MAX_SKEW_S = 600.0

Sign = Callable[[str, bytes], Signed]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an offer is about."""

    target: PeerId
    nonce: bytes
    session: bytes
    number: int
    strategy: Strategy


def make_offer(sign: Sign, ours: PeerId, attempt: Attempt, nat: Nat, now_wall: float) -> bytes:
    fields = OfferFields(
        ours,
        attempt.target,
        attempt.nonce,
        attempt.session,
        attempt.number,
        int((now_wall + LIFE_S) * 1000),
        attempt.strategy,
        nat,
    )
    return sign(OFFER, codec.encode_offer(fields)).to_bytes()


def read_offer(data: bytes, ours: PeerId, network_id: bytes, now_wall: float) -> OfferFields:
    """An offer to us.  Whether there is a session with its maker, and whether it is that one, is the caller's to see.

    Raises:
        RemoteProtocolError: malformed, not for us, expired, or not signed by its maker.
    """
    signed = Signed.from_bytes(data, MAX_SIGNED_BYTES)
    fields = codec.decode_offer(signed.body)
    if fields.target != ours:
        raise RemoteProtocolError("an offer is for another peer")
    if fields.asker == ours:
        raise RemoteProtocolError("an offer is our own")
    expires_at = fields.expires_ms / 1000
    if not now_wall - MAX_SKEW_S < expires_at <= now_wall + LIFE_S + MAX_SKEW_S:
        raise RemoteProtocolError("an offer has expired or claims to live for too long")
    _check(fields.asker, OFFER, network_id, signed)
    return fields


def make_answer(sign: Sign, offer: OfferFields, nonce: bytes, nat: Nat, refusal: str = "") -> bytes:
    fields = AnswerFields(offer.asker, offer.target, offer.nonce, nonce, refusal, nat)
    return sign(ANSWER, codec.encode_answer(fields)).to_bytes()


def read_answer(data: bytes, ours: PeerId, attempt: Attempt, network_id: bytes) -> AnswerFields:
    """The answer to our offer.

    Raises:
        RemoteProtocolError: malformed, to another offer, or not signed by the peer that we asked for.
    """
    signed = Signed.from_bytes(data, MAX_SIGNED_BYTES)
    fields = codec.decode_answer(signed.body)
    if (fields.asker, fields.target, fields.offer_nonce) != (ours, attempt.target, attempt.nonce):
        raise RemoteProtocolError("an answer is to another offer")
    _check(attempt.target, ANSWER, network_id, signed)
    return fields


def _check(maker: PeerId, purpose: str, network_id: bytes, signed: Signed) -> None:
    try:
        verify(maker, purpose, network_id, signed.body, signed.signature)
    except VerificationFailed as exc:
        raise RemoteProtocolError(f"an offer or answer is not signed by its maker: {exc}") from exc
