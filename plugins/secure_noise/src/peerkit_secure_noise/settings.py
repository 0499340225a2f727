"""`[plugins.secure_noise]`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from peerkit.plugin import Settings

from .pre_shared_key import PSK_BYTES

MIN_PASSPHRASE_CHARS = 12  # guess: shorter ones fall to trying


def _is_hex(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != PSK_BYTES or len(text) != 2 * PSK_BYTES:
        raise ValueError(f"must be {PSK_BYTES} bytes as {2 * PSK_BYTES} hexadecimal digits")
    return value


def _is_long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_PASSPHRASE_CHARS:
        raise ValueError(f"must have at least {MIN_PASSPHRASE_CHARS} characters")
    return value


class NoiseSettings(Settings):
    """A public network sets none of these; a private one exactly one, the same on every node."""

    psk: Annotated[SecretStr, AfterValidator(_is_hex)] | None = Field(
        None, description="32 random bytes as 64 hexadecimal digits"
    )
    psk_file: str | None = Field(None, min_length=1, description="a file that holds what `psk` would")
    passphrase: Annotated[SecretStr, AfterValidator(_is_long)] | None = Field(
        None, description="at least 12 characters; costs 0.1 s and 64 MiB at each start"
    )
    passphrase_file: str | None = Field(None, min_length=1, description="a file that holds what `passphrase` would")

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} say the same thing; keep one")
        return self
