"""The table `[plugins.public_address]` of a profile."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from peerkit.plugin import Settings

from .url_answers import Mode

MAX_URLS = 16

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
    ipv4_by_url: Mode = Field("off", description="ask web pages for our IPv4: off, one, failover or consensus")
    ipv4_urls: tuple[str, ...] = Field(
        (), max_length=MAX_URLS, description="the pages; each answers with an address only"
    )
    ipv4_quorum: int = Field(
        0, ge=0, le=MAX_URLS, description="pages that must agree; 0 is the majority of those named"
    )
    ipv4_url_timeout_s: Seconds = Field(5.0, description="deadline of one page")
    ipv4_url_interval_s: Seconds = Field(3600.0, description="the pages are asked again after this")

    @model_validator(mode="after")
    def _check_urls(self) -> "PublicAddressSettings":
        for url in self.ipv4_urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"ipv4_urls: {url!r} is no http:// or https:// URL")
        if self.ipv4_by_url != "off" and not self.ipv4_urls:
            raise ValueError("ipv4_by_url: name the pages to ask in ipv4_urls")
        if self.ipv4_quorum > len(self.ipv4_urls):
            raise ValueError(f"ipv4_quorum: {self.ipv4_quorum} of {len(self.ipv4_urls)} pages can never agree")
        return self

    @property
    def url_quorum(self) -> int:
        return self.ipv4_quorum or len(self.ipv4_urls) // 2 + 1
