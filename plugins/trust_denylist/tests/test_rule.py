import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_trust_denylist.rule import Kind, Rule

from peerkit.errors import UsageError
from peerkit.identity import Identity

PEER = str(Identity(bytes(32)).peer_id)


@pytest.mark.parametrize(
    ("text", "kind", "spelling"),
    [
        (PEER, Kind.PEER, PEER),
        (" 192.0.2.1 ", Kind.NETWORK, "192.0.2.1"),
        ("192.0.2.1/32", Kind.NETWORK, "192.0.2.1"),
        ("192.0.2.0/24", Kind.NETWORK, "192.0.2.0/24"),
        ("2001:DB8:0::1", Kind.NETWORK, "2001:db8::1"),
        ("::ffff:192.0.2.1", Kind.NETWORK, "192.0.2.1"),
        ("::ffff:192.0.2.0/120", Kind.NETWORK, "192.0.2.0/24"),
        (f"tcp://192.0.2.1:4433/{PEER}", Kind.ADDRESS, "tcp://192.0.2.1:4433"),
    ],
)
def test_rule_has_one_spelling(text: str, kind: Kind, spelling: str) -> None:
    assert Rule.parse(text) == Rule(kind, spelling)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("192.0.2.7/24", "did you mean 192.0.2.0/24?"),
        ("example.org", "write a peer id, an IP address"),
        ("tcp://example.org:4433", "deny its IP address"),
        (PEER[:-1] + "x", "check"),
        ("", "cannot be denied"),
    ],
)
def test_wrong_rule_says_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint.replace("?", r"\?")):
        Rule.parse(text)


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    try:
        rule = Rule.parse(text)
    except UsageError:
        return
    assert Rule.parse(rule.text) == rule
