"""`[plugins.nat_upnp]`."""

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from peerkit.plugin import Settings


def _router(text: str) -> str:
    if text and not ipaddress.ip_address(text.partition("%")[0]).is_private:
        raise ValueError(f"{text} is not a private address")
    return text


class MappingSettings(Settings):
    """A router keeps a mapping for `lease_s`; it is renewed at half of it."""

    protocols: tuple[Literal["pcp", "nat_pmp", "upnp"], ...] = Field(
        ("pcp", "nat_pmp", "upnp"), min_length=1, description="tried side by side; the first that works is used"
    )
    lease_s: int = Field(3_600, ge=4, le=86_400, description="for how long a mapping is asked for")
    check_s: float = Field(60.0, ge=1, le=3_600, description="how often to look whether the router still has it")
    retry_s: float = Field(300.0, ge=1, le=86_400, description="how often to ask a router that gave nothing")
    gateway: Annotated[str, AfterValidator(_router)] = Field(
        "", description="the router's address; empty: the system's default gateway"
    )
