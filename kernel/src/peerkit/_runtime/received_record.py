"""The record that a peer sends about itself on a session."""

from ..errors import RemoteProtocolError
from ..identity import PeerId
from ..record import PeerRecord
from .session_context import SessionContext


def received_record(context: SessionContext, peer_id: PeerId, data: bytes) -> PeerRecord | None:
    """The record in `data`, checked; `None` (and counted) when it is not good.

    Raises:
        RemoteProtocolError: it is good, but somebody else's.
    """
    known = context.owner.known_record(peer_id)
    if known is not None and known.to_bytes() == data:  # spares a signature check of 54 µs
        return known
    try:
        record = PeerRecord.from_bytes(data, context.network_id, context.clock.wall())
    except RemoteProtocolError as exc:
        context.counters.bad_records += 1
        context.log.debug("peer record refused", peer=peer_id.short, reason=str(exc))
        return None
    if record.peer_id != peer_id:
        raise RemoteProtocolError("the peer sent somebody else's record as its own")
    return record
