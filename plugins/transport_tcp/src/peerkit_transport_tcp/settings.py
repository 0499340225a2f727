"""`[plugins.transport_tcp]`."""

from pydantic import Field

from peerkit.plugin import Settings


class TcpSettings(Settings):
    tls: bool = Field(
        False, description="serve every tcp:// listen address as tls://, and refuse connections without TLS there"
    )
