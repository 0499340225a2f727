"""Which pages' words count, and what may be set."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_public_address.settings import PublicAddressSettings
from peerkit_public_address.url_answers import UrlAnswer, agreed, read_answer
from pydantic import ValidationError

from peerkit.address_space import is_public


def said(*hosts: str) -> list[UrlAnswer]:
    return [UrlAnswer(f"http://{i}.example/", host) for i, host in enumerate(hosts)]


def test_as_many_voices_against_are_no_consensus() -> None:
    assert agreed(said("20.9.0.1", "20.9.0.1", "66.6.6.6", "66.6.6.6"), 2).host == ""
    assert agreed(said("20.9.0.1", "20.9.0.1", "66.6.6.6"), 2).host == "20.9.0.1"
    assert agreed(said("", "", ""), 1).reason == "no page answered"


@given(st.binary(max_size=70))
def test_only_a_public_address_is_an_answer(body: bytes) -> None:
    answer = read_answer("http://a.example/", 200, body)
    assert bool(answer.host) != bool(answer.reason)
    assert not answer.host or is_public(answer.host)


@pytest.mark.parametrize(
    "table",
    [
        {"ipv4_by_url": "one"},
        {"ipv4_by_url": "one", "ipv4_urls": ("ftp://a.example/",)},
        {"ipv4_by_url": "one", "ipv4_urls": ("http://",)},
        {"ipv4_by_url": "consensus", "ipv4_urls": ("http://a.example/",), "ipv4_quorum": 2},
        {"ipv4_by_url": "all", "ipv4_urls": ("http://a.example/",)},
    ],
)
def test_settings_that_make_no_sense_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PublicAddressSettings.model_validate(table)


def test_no_page_is_asked_unless_the_owner_names_it() -> None:
    settings = PublicAddressSettings()
    assert settings.ipv4_by_url == "off"
    assert settings.ipv4_urls == ()
    with contextlib.suppress(ValidationError):
        assert PublicAddressSettings.model_validate({"ipv4_urls": ("http://a.example/",)}).url_quorum == 1
