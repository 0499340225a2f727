"""The kernel's checks of trust policies."""

import pytest
from peerkit_trust_denylist.deny_list import DenyList, Entry
from peerkit_trust_denylist.rule import Rule

from peerkit import Address
from peerkit.identity import Identity
from peerkit.testing.trust_checks import TRUST_POLICY_CHECKS, TrustBed, TrustCheck
from peerkit.trust import Action, Question

FOE = Identity(b"\x01" * 32).peer_id
RULES = (str(FOE), "198.51.100.7", "203.0.113.0/24", "2001:db8:1::/48", "tcp://198.51.100.9:4433")
DENIED = (
    Question(Action.ACCEPT_PEER, FOE),
    Question(Action.DIAL, None, Address("udp", "192.0.2.200", 1, FOE)),
    Question(Action.DIAL, None, Address("relay", "192.0.2.200", 1, None, FOE)),
    Question(Action.ACCEPT_ADDRESS, None, Address("tcp", "198.51.100.7", 50_000)),
    Question(Action.ACCEPT_ADDRESS, None, Address("tcp", "::ffff:203.0.113.9", 50_000)),
    Question(Action.ACCEPT_ADDRESS, None, Address("udp", "2001:db8:1::9", 1)),
    Question(Action.DIAL, None, Address("tcp", "198.51.100.9", 4433)),
)


def policy(is_loaded: bool) -> DenyList:
    made = DenyList(Entry(Rule.parse(text)) for text in RULES)
    made.is_loaded = is_loaded
    return made


@pytest.mark.parametrize("check", TRUST_POLICY_CHECKS, ids=lambda check: check.__name__)
def test_the_policy_passes_the_check(check: TrustCheck) -> None:
    check(TrustBed(policy(True), DENIED, policy(False)))
