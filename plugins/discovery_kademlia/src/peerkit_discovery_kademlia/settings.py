"""The table `[plugins.discovery_kademlia]` of a profile."""

from typing import Annotated

from pydantic import Field

from peerkit.plugin import Settings

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]


class KademliaSettings(Settings):
    """The defaults fit a wide-area network; every duration is jittered."""

    alpha: int = Field(10, ge=1, le=32, description="requests of one lookup in flight")
    paths: int = Field(1, ge=1, le=8, description="disjoint paths of a lookup; 3 costs up to thrice the messages")
    request_timeout_s: Seconds = Field(5.0, description="deadline of one request, dialling included")
    liveness_interval_s: Seconds = Field(
        600.0, description="a table entry silent for so long is pinged; 3 misses end it"
    )
    udp_pings: bool = Field(True, description="ping by datagrams where both sides have them, else over sessions")
    refresh_interval_s: Seconds = Field(3600.0, description="the table's buckets are looked up anew after this")
    republish_interval_s: Seconds = Field(
        39_600.0, description="what we provide and store is told again after this (11 h)"
    )
    max_provider_records: int = Field(50_000, ge=64, description="provider records kept for others, 0.6 KB each")
    max_provided_keys_per_peer: int = Field(1_000, ge=1, description="of those, for one provider")
    max_stored_bytes: int = Field(33_554_432, ge=262_144, description="values kept for others (32 MiB)")
