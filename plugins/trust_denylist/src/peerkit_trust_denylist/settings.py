"""`[plugins.trust_denylist]`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from peerkit.errors import UsageError
from peerkit.plugin import Settings

from .rule import Rule


def _rule(text: str) -> str:
    try:
        return Rule.parse(text).text
    except UsageError as exc:
        raise ValueError(str(exc)) from None


class DenyListSettings(Settings):
    """What the profile denies; more can be denied at run time."""

    deny: tuple[Annotated[str, AfterValidator(_rule)], ...] = Field(
        (), description="peer ids, IP addresses, networks (192.0.2.0/24) or addresses (tcp://192.0.2.1:4433)"
    )
