"""Where the pre-shared key comes from: the settings or a small file, read once at the start."""

from pathlib import Path

from pydantic import SecretStr, ValidationError

from peerkit.errors import ConfigError

from . import pre_shared_key
from .settings import NoiseSettings

MAX_FILE_BYTES = 4_096


def load_psk(settings: NoiseSettings, network_id: bytes) -> bytes | None:
    """The network's pre-shared key, or `None` for a public network.

    Raises:
        ConfigError: a file cannot be read or does not hold what it should.
    """
    key, passphrase = settings.psk, settings.passphrase
    if settings.psk_file is not None:
        key = _from_file("psk", settings.psk_file)
    if settings.passphrase_file is not None:
        passphrase = _from_file("passphrase", settings.passphrase_file)
    if key is not None:
        return pre_shared_key.from_key(bytes.fromhex(key.get_secret_value()), network_id)
    if passphrase is not None:
        return pre_shared_key.from_passphrase(passphrase.get_secret_value(), network_id)
    return None


def _from_file(setting: str, path: str) -> SecretStr:
    """The file's text without surrounding white space, held to the rule of the setting it stands for."""
    where = f"plugins.secure_noise.{setting}_file: {path}"
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8").strip()
    except OSError as error:
        raise ConfigError([f"{where} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError:
        raise ConfigError([f"{where} is not text"]) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError([f"{where} is longer than {MAX_FILE_BYTES} bytes"])
    try:
        checked = NoiseSettings.model_validate({setting: text})
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise ConfigError([f"{where} {reason}"]) from None
    value = checked.psk if setting == "psk" else checked.passphrase
    assert value is not None
    return value
