"""`[plugins.lan_broadcast]`."""

from typing import Annotated

from pydantic import Field

from peerkit.plugin import Settings

DEFAULT_PORT = 52_177  # in the range that nobody is given (RFC 6335 §6)

Seconds = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]


class LanSettings(Settings):
    """The port must be the same on all nodes that shall find each other."""

    port: int = Field(DEFAULT_PORT, ge=1, le=65_535, description="UDP port of the beacons, shared by all nodes")
    lonely_interval_s: Seconds = Field(10.0, description="time between beacons while the pool has no member")
    interval_s: Seconds = Field(600.0, description="time between beacons afterwards")
    watch_s: Seconds = Field(5.0, description="how often to look for new and changed interfaces")
