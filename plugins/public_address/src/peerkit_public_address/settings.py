"""The table `[plugins.public_address]` of a profile."""

from typing import Annotated

from pydantic import Field

from peerkit.plugin import Settings

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]


class PublicAddressSettings(Settings):
    """Every duration is jittered."""

    request_timeout_s: Seconds = Field(5.0, description="deadline of a question to a peer")
    ask_again_s: Seconds = Field(600.0, description="a member is asked again where it sees us after this")
    observation_age_s: Seconds = Field(1800.0, description="what a peer said counts for so long")
