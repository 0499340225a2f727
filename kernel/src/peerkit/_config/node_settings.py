"""What every node can be told: the table `[node]` of a profile.  Pure.

Units are in the names.  A range is part of the field, so that an error can name it.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer, field_validator

from ..address import Address
from ..errors import UsageError
from ..security import Aead
from .units import Rate


def _address(text: str) -> str:
    try:
        Address.parse(text)
    except UsageError as exc:
        raise ValueError(str(exc)) from None
    return text


AddressText = Annotated[str, AfterValidator(_address)]
_NAMES = {aead: aead.name.lower().replace("_", "-") for aead in Aead}
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Slots = Annotated[int, Field(ge=0, le=100_000)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SlotSettings(_Table):
    """How many sessions of each class the node holds at once; the defaults are guesses for a small machine."""

    member_in: Slots = Field(64, description="members that dialled us")
    member_out: Slots = Field(16, description="members that we dialled; the pool keeps them filled")
    transient_in: Slots = Field(128, description="short sessions of others' lookups")
    transient_out: Slots = Field(128, description="short sessions of our lookups")
    handshaking: Slots = Field(64, description="connections that have not proved a peer id yet")


class NodeSettings(_Table):
    """The table `[node]`."""

    extends: str = Field("", description="the preset or file that this profile builds on")
    enable: tuple[str, ...] = Field((), description="plugins to add to those of the profile below")
    disable: tuple[str, ...] = Field((), description="plugins to remove")
    listen: tuple[AddressText, ...] = Field((), description="addresses to accept connections at; none: only dials")
    bootstrap: tuple[AddressText, ...] = Field((), description="peers that are dialled while none is known")
    network: str = Field("", max_length=128, description="name of the network; nodes of two networks never meet")
    data_dir: Path | None = Field(None, description="where the node keeps its identity and data; its own for each node")
    loop: Literal["asyncio", "uvloop"] = Field("asyncio", description="event loop of `peerkit up`")
    slots: SlotSettings = Field(SlotSettings(), description="bounds on sessions, by class")
    handshake_timeout_s: Seconds = Field(10.0, description="a connection must have proved its peer id by then")
    transient_idle_s: Seconds = Field(10.0, description="an unused short session is closed after this")
    ping_after_s: Seconds = Field(
        20.0, description="a silent member is pinged after this, and left after three times it"
    )
    hang_exit_s: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = Field(
        30.0,
        description="`peerkit up` ends when its event loop stands still for so long; at its start for 120 s at least",
    )
    key_life_s: Seconds = Field(3600.0, description="session keys are renewed after this, or sooner by amount")
    aeads: tuple[Aead, ...] = Field(tuple(Aead), min_length=1, description="ciphers, preferred first")
    wrappers: tuple[str, ...] = Field((), description="order of plaintext wrappers, first applied first")
    upload_limit: Rate = Field(None, description="most bytes sent a second, or none")
    download_limit: Rate = Field(None, description="most bytes received a second, or none")
    trust_default: Literal["allow", "deny"] = Field("allow", description="the answer when no trust policy decides")
    passphrase_file: Path | None = Field(
        None, description="its first line opens the identity; else PEERKIT_PASSPHRASE does"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    providers: dict[str, str] = Field(
        default_factory=dict, description="capability to the plugin that shall provide it"
    )

    @field_validator("aeads", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        names = {name: aead for aead, name in _NAMES.items()}
        if not isinstance(value, list | tuple):
            return value
        for item in value:
            if isinstance(item, str) and item not in names:
                raise ValueError(f"{item!r} is not one of {', '.join(names)}")
        return tuple(names.get(item, item) if isinstance(item, str) else item for item in value)

    @field_serializer("aeads")
    def _as_names(self, value: tuple[Aead, ...]) -> list[str]:
        return [_NAMES[aead] for aead in value]

    @field_validator("aeads", "listen", "enable", "disable", "wrappers", mode="after")
    @classmethod
    def _distinct(cls, value: tuple[object, ...]) -> tuple[object, ...]:
        twice = {str(item) for item in value if value.count(item) > 1}
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} is named more than once")
        return value
