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
    dial_back: bool = Field(True, description="ask peers to reach us, and do so for them")
    verify_interval_s: Seconds = Field(15.0, description="between rounds of dial-backs, while something is undecided")
    retry_s: Seconds = Field(
        300.0, description="a peer that could not decide or would not try is asked again after this"
    )
    reverify_s: Seconds = Field(3600.0, description="what is decided is tried again after this (±30 %)")
