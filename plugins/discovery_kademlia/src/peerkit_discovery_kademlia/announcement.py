"""Provider records: a peer's signed word that it provides a key.  Pure."""

from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.identity import PeerId, verify
from peerkit.record import MAX_AHEAD_S, Signed

from . import codec
from .codec import AnnouncementFields

PURPOSE = "dht-provider"
LIFE_S = 24 * 3600.0
REPUBLISH_S = 11 * 3600.0  # two chances within a life


@dataclass(frozen=True, slots=True)
class Announcement:
    """Attributes:
    expires_at: unix seconds.
    wire: the signed bytes as they came.
    """

    provider: PeerId
    key: bytes
    issued_at: float
    expires_at: float
    wire: bytes


def announcement_body(provider: PeerId, key: bytes, now_wall: float) -> bytes:
    """What to sign for `PURPOSE`."""
    fields = AnnouncementFields(provider.raw, key, int(now_wall * 1000), int((now_wall + LIFE_S) * 1000))
    return codec.encode_announcement(fields)


def read_announcement(wire: bytes, network_id: bytes, now_wall: float, expected: PeerId | None = None) -> Announcement:
    """Check a provider record from outside.

    Args:
        expected: who must have signed it; a wrong one is refused before the signature is checked.

    Raises:
        RemoteProtocolError: malformed, expired, from the future, of a life beyond 24 h, or not signed by its provider.
    """
    signed = Signed.from_bytes(wire, codec.MAX_ANNOUNCEMENT_BYTES)
    fields = codec.decode_announcement(signed.body)
    if expected is not None and fields.provider != expected.raw:
        raise RemoteProtocolError("a provider record is of somebody else")
    issued_at, expires_at = fields.issued_ms / 1000, fields.expires_ms / 1000
    if issued_at > now_wall + MAX_AHEAD_S or expires_at <= now_wall or expires_at - issued_at > LIFE_S + 1:
        raise RemoteProtocolError("a provider record has expired, or its dates cannot be")
    provider = PeerId(fields.provider)
    try:
        verify(provider, PURPOSE, network_id, signed.body, signed.signature)
    except VerificationFailed as exc:
        raise RemoteProtocolError(f"a provider record is not signed by its provider: {exc}") from exc
    return Announcement(provider, fields.key, issued_at, expires_at, wire)
