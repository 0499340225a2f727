import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from peerkit_trust_denylist.deny_list import DenyList, Entry
from peerkit_trust_denylist.rule import Rule

from peerkit.address import Address
from peerkit.identity import Identity, PeerId
from peerkit.trust import Action, Question

A, B = (Identity(bytes([i]) * 32).peer_id for i in (1, 2))


def listed(*rules: str) -> DenyList:
    policy = DenyList(Entry(Rule.parse(rule)) for rule in rules)
    policy.is_loaded = True
    return policy


def denies(policy: DenyList, peer: PeerId | None = None, address: str | None = None) -> bool:
    verdict = policy.decide(Question(Action.DIAL, peer, Address.parse(address) if address else None))
    assert verdict is None or not verdict.allow, "a deny list never allows: that is for other policies"
    return verdict is not None


def test_everything_is_denied_until_the_list_is_read() -> None:
    policy = DenyList()
    assert denies(policy, A)
    policy.is_loaded = True
    assert not denies(policy, A)


def test_peer_is_denied_wherever_it_is_and_as_a_relay() -> None:
    policy = listed(str(A))
    assert denies(policy, A, "tcp://192.0.2.1:1")
    assert denies(policy, None, f"tcp://192.0.2.1:1/{A}")
    assert denies(policy, B, f"relay://{A}@192.0.2.1:1/{B}")
    assert not denies(policy, B, "tcp://192.0.2.1:1")


def test_address_rule_names_one_port() -> None:
    policy = listed("tcp://192.0.2.1:4433")
    assert denies(policy, None, f"tcp://192.0.2.1:4433/{A}")
    assert not denies(policy, None, "tcp://192.0.2.1:4434")
    assert not denies(policy, None, "udp://192.0.2.1:4433")


def test_mapped_ipv6_address_is_its_ipv4_host() -> None:
    assert denies(listed("192.0.2.0/24"), None, "tcp://[::ffff:192.0.2.9]:1")


def test_reason_is_the_owners() -> None:
    policy = DenyList([Entry(Rule.parse(str(A)), "sends rubbish")])
    policy.is_loaded = True
    verdict = policy.decide(Question(Action.ACCEPT_PEER, A))
    assert verdict is not None
    assert verdict.reason == f"{A} is on the deny list (sends rubbish)"


def test_removed_rule_denies_no_more_and_leaves_the_others() -> None:
    policy = listed("192.0.2.0/24", "192.0.2.1")
    policy.remove(Rule.parse("192.0.2.1"))
    policy.remove(Rule.parse("192.0.2.1"))
    assert denies(policy, None, "tcp://192.0.2.1:1")
    covering = policy.covering(Rule.parse("192.0.2.1"))
    assert covering is not None
    assert covering.rule.text == "192.0.2.0/24"
    policy.remove(Rule.parse("192.0.2.0/24"))
    assert not denies(policy, None, "tcp://192.0.2.1:1")
    assert policy.covering(Rule.parse("192.0.2.1")) is None


def test_larger_network_is_not_covered_by_a_smaller_one() -> None:
    assert listed("192.0.2.1").covering(Rule.parse("192.0.2.0/24")) is None


def test_rule_of_the_profile_is_not_replaced() -> None:
    policy = DenyList([Entry(Rule.parse(str(A)), from_settings=True)])
    policy.add(Entry(Rule.parse(str(A)), "again"))
    entry = policy.get(Rule.parse(str(A)))
    assert entry is not None
    assert entry.from_settings


# few distinct high bits, so that networks and addresses meet often
_v4 = st.integers(0, 0xFFF).map(lambda n: ipaddress.IPv4Address((n >> 8) << 28 | n & 0xFF))
_v6 = st.integers(0, 0xFFF).map(lambda n: ipaddress.IPv6Address((n >> 8) << 120 | n & 0xFF))
_ip = st.one_of(_v4, _v6)


@st.composite
def _network(draw: st.DrawFn) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    ip = draw(_ip)
    return ipaddress.ip_network((ip, draw(st.integers(0, ip.max_prefixlen))), strict=False)


@given(st.lists(_network(), max_size=6), _ip)
def test_networks_match_as_a_scan_of_all_does(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network], ip: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    host = f"[{ip}]" if ip.version == 6 else str(ip)
    seen = Address.parse(f"tcp://{host}:1").ip
    assert seen is not None
    rules = [Rule.parse(str(network)).network for network in networks]
    policy = listed(*map(str, networks))
    assert denies(policy, None, f"tcp://{host}:1") == any(
        seen in rule for rule in rules if rule.version == seen.version
    )
