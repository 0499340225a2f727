"""The policy: denies whoever is listed and abstains otherwise.  In memory, a few look-ups a question.

In: rules, and questions of the gate.  Out: verdicts.  Not here: the disk.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.trust import Question, TrustPolicy, Verdict

from .rule import Kind, Rule


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule on the list.

    Attributes:
        reason: the owner's words, may be empty.
        from_settings: it stands in the profile and cannot be taken off at run time.
        added_at: unix seconds; 0 for the profile's.
    """

    rule: Rule
    reason: str = ""
    from_settings: bool = False
    added_at: float = 0.0


class DenyList:
    """A trust policy.

    Attributes:
        is_loaded: until then everything is denied, since a listed peer could not be told from others.
    """

    name = "deny list"

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.is_loaded = False
        self._entries: dict[Rule, Entry] = {}
        # IP version and prefix length → network number → entry: as many look-ups as different lengths are listed
        self._networks: dict[tuple[int, int], dict[int, Entry]] = {}
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, rule: Rule) -> Entry | None:
        return self._entries.get(rule)

    def add(self, entry: Entry) -> None:
        """A rule of the profile stays when the same is added again."""
        known = self._entries.get(entry.rule)
        if known is not None and known.from_settings:
            return
        self._entries[entry.rule] = entry
        if entry.rule.kind is Kind.NETWORK:
            network = entry.rule.network
            key = (network.version, network.prefixlen)
            self._networks.setdefault(key, {})[int(network.network_address)] = entry

    def remove(self, rule: Rule) -> None:
        """Nothing happens when it is not listed."""
        if self._entries.pop(rule, None) is not None and rule.kind is Kind.NETWORK:
            network = rule.network
            key = (network.version, network.prefixlen)
            del self._networks[key][int(network.network_address)]
            if not self._networks[key]:
                del self._networks[key]

    def decide(self, question: Question) -> Verdict | None:
        if not self.is_loaded:
            return Verdict(False, "the deny list is still being read")
        entry = self.match(question)
        if entry is None:
            return None
        said = f" ({entry.reason})" if entry.reason else ""
        return Verdict(False, f"{entry.rule.text} is on the deny list{said}")

    def match(self, question: Question) -> Entry | None:
        """The entry that denies, if one does."""
        if not self._entries:
            return None
        address = question.address
        peers = [question.peer_id, address.peer_id if address else None, address.via if address else None]
        for peer in peers:
            if peer is not None and (entry := self._entries.get(Rule(Kind.PEER, str(peer)))) is not None:
                return entry
        return self._match_address(address) if address is not None else None

    def covering(self, rule: Rule) -> Entry | None:
        """Another entry that denies at least what `rule` names."""
        if rule.kind is Kind.PEER:
            return None
        if rule.kind is Kind.ADDRESS:
            return self._match_address(Address.parse(rule.text))
        network = rule.network
        return self._match_ip(network.network_address, longest=network.prefixlen)

    def _match_address(self, address: Address) -> Entry | None:
        ip = address.ip
        if ip is None:
            return None
        if (entry := self._match_ip(ip, ip.max_prefixlen)) is not None:
            return entry
        return self._entries.get(Rule(Kind.ADDRESS, str(address.without_peer())))

    def _match_ip(self, ip: ipaddress.IPv4Address | ipaddress.IPv6Address, longest: int) -> Entry | None:
        number, bits = int(ip), ip.max_prefixlen
        for (version, length), networks in self._networks.items():
            if version == ip.version and length <= longest:
                entry = networks.get(number >> (bits - length) << (bits - length))
                if entry is not None:
                    return entry
        return None


if TYPE_CHECKING:
    _fits: type[TrustPolicy] = DenyList
