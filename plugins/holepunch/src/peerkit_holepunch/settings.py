"""The table `[plugins.holepunch]` of a profile."""

from pydantic import Field

from peerkit.plugin import Settings


class HolepunchSettings(Settings):
    """The defaults fit a node at home."""

    coordinate: bool = Field(True, description="introduce peers of ours to each other")
    predict_ports: bool = Field(True, description="probe the ports that a sequential mapping will take next")
    birthday: bool = Field(True, description="probe many ports when exactly one side maps symmetrically")
    birthday_sockets: int = Field(256, ge=16, le=512, description="sockets of the side that maps symmetrically")
    birthday_probes: int = Field(2_048, ge=64, le=4_096, description="ports that the other side probes")
    probes_per_s: int = Field(500, ge=10, le=2_000, description="of these, in a second")
    max_introductions_per_minute: int = Field(120, ge=1, le=6_000, description="that we make for others, in all")
