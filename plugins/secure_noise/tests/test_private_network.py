"""Settings, and the pre-shared key they give."""

from pathlib import Path

import pytest
from peerkit_secure_noise import pre_shared_key
from peerkit_secure_noise.adapter import load_psk
from peerkit_secure_noise.settings import NoiseSettings
from pydantic import ValidationError

from peerkit.errors import ConfigError

NETWORK = bytes(range(32))
KEY = bytes(range(100, 132))
PHRASE = "correct horse battery staple"
# HKDF-SHA-256 and Argon2id (3 passes, 64 MiB) of the two above; every member of a network must come to these bytes.
PSK_OF_KEY = bytes.fromhex("055372b461be98ce56e54852e03024bc11300b3253c7a2964607c2e4e33ee727")
PSK_OF_PHRASE = bytes.fromhex("7bcf339b5facb4e3dcaca72df45e8d66b06e880d9dec6ea37d72c6be23ca49c9")


def settings(**values: str) -> NoiseSettings:
    return NoiseSettings.model_validate(values)


def test_a_public_network_has_no_key() -> None:
    assert load_psk(settings(), NETWORK) is None


def test_the_key_never_changes() -> None:
    assert load_psk(settings(psk=KEY.hex()), NETWORK) == PSK_OF_KEY


def test_the_key_of_a_passphrase_never_changes() -> None:
    assert load_psk(settings(passphrase=PHRASE), NETWORK) == PSK_OF_PHRASE


def test_each_network_has_its_own_key() -> None:
    assert pre_shared_key.from_key(KEY, NETWORK) != pre_shared_key.from_key(KEY, bytes(32))


@pytest.mark.parametrize("text", [KEY.hex(), f"  {KEY.hex().upper()}\r\n"])
def test_a_file_holds_what_the_setting_would(tmp_path: Path, text: str) -> None:
    path = tmp_path / "network.key"
    path.write_text(text)
    assert load_psk(settings(psk_file=str(path)), NETWORK) == PSK_OF_KEY


def test_a_passphrase_file_holds_what_the_setting_would(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    path.write_text(PHRASE + "\n")
    assert load_psk(settings(passphrase_file=str(path)), NETWORK) == PSK_OF_PHRASE


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("psk_file", None, "cannot be read: No such file or directory"),
        ("psk_file", b"", "must be 32 bytes as 64 hexadecimal digits"),
        ("psk_file", KEY, "is not text|must be 32 bytes"),
        ("psk_file", b"a" * 5000, "is longer than 4096 bytes"),
        ("psk_file", b"\xff\xfe", "is not text"),
        ("passphrase_file", b"short", "must have at least 12 characters"),
    ],
)
def test_a_file_that_does_not_hold_it_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"plugins\.secure_noise\.{name}: {path} ({reason})"):
        load_psk(settings(**{name: str(path)}), NETWORK)


@pytest.mark.parametrize("psk", ["", "00", KEY.hex() + "00", "g" * 64, " ".join(f"{b:02x}" for b in KEY)])
def test_a_key_of_another_form_is_refused(psk: str) -> None:
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        settings(psk=psk)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 12"):
        settings(passphrase="elevenchars")


def test_two_ways_to_say_the_key_are_refused() -> None:
    with pytest.raises(ValidationError, match="psk and passphrase say the same thing"):
        settings(psk=KEY.hex(), passphrase=PHRASE)


def test_secrets_are_not_shown() -> None:
    for shown in (settings(psk=KEY.hex()), settings(passphrase=PHRASE)):
        assert KEY.hex() not in repr(shown)
        assert PHRASE not in repr(shown)
        assert KEY.hex() not in shown.model_dump_json()
