"""`[plugins.relay]`."""

from pydantic import Field

from peerkit.plugin import Settings


class RelaySettings(Settings):
    serve: bool = Field(True, description="carry other peers' traffic, as long as strangers can reach this node")
    relays: int = Field(
        2, ge=0, le=3, description="through how many relays this node can be reached while it needs any"
    )
    reservation_s: int = Field(3_600, ge=60, le=86_400, description="life of a reservation here; renewed at half")
    max_reservations: int = Field(256, ge=0, le=65_536, description="peers that can be reached through this node")
    max_reservations_per_prefix: int = Field(8, ge=1, description="of one /24 or /56; local networks are exempt")
    max_circuits: int = Field(512, ge=0, le=65_536, description="circuits through this node at a time")
    max_circuits_per_peer: int = Field(16, ge=1, description="of those, how many may begin or end at one peer")
    circuit_s: int = Field(3_600, ge=10, description="life of a circuit; its dialer opens another before that")
    circuit_bytes: int = Field(2**30, ge=100_000, description="what one circuit carries, both ways together")
    on_private_networks: bool = Field(
        False, description="count private addresses as reachable, for a network that is not the internet"
    )
