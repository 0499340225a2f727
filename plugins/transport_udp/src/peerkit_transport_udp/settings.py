"""`[plugins.transport_udp]`."""

from typing import Literal

from pydantic import Field

from peerkit.plugin import Settings


class UdpSettings(Settings):
    congestion: Literal["cubic", "newreno", "ledbat++"] = Field(
        "cubic", description="how the window follows the path: cubic (RFC 9438), newreno (RFC 9002), ledbat++ (yields)"
    )
    max_datagram_bytes: int = Field(
        65_507, ge=1_200, le=65_507, description="largest datagram that is tried; 1200 switches the search off"
    )
    idle_timeout_s: int = Field(30, ge=5, le=600, description="a connection is over after so long without a packet")
    keep_alive_s: float = Field(
        15.0, ge=1.0, le=300.0, description="ask whether the peer is there after so long without a packet"
    )
    padding_bytes: int = Field(
        0, ge=0, le=1_200, description="packets are padded to a multiple of so many bytes; 0: as long as they are"
    )
    max_packets_per_key: int = Field(
        1 << 23, ge=256, le=1 << 23, description="packets that one key seals before the next is taken"
    )
