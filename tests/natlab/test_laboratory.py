"""What the laboratory does to a wire: hairpins, rebindings, another uplink, loss; with plain sockets."""

import socket
from collections.abc import Iterator

import pytest

from peerkit import Address
from peerkit.testing import NATS
from tests.natlab.laboratory import Host, Laboratory, Site, laboratory
from tests.netns.space import missing

pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(missing()), reason=missing())]
BATCHES, SEGMENTS, SEGMENT_BYTES = 60, 44, 200
_UDP_SEGMENT = 103  # linux/udp.h


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


@pytest.fixture(scope="module")
def public(lab: Laboratory) -> Host:
    return lab.site().hosts[0]


def bound(host: Host) -> socket.socket:
    sock = host.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(60)
    sock.bind((host.ip, 0))
    return sock


def seen(sock: socket.socket, by: socket.socket) -> tuple[str, int]:
    """From where a socket's datagram seems to come."""
    sock.sendto(b"who am I?", by.getsockname())
    host, port = by.recvfrom(100)[1]
    return host, port


def gets_in(sock: socket.socket, by: socket.socket, where: tuple[str, int]) -> bool:
    by.sendto(b"hello", where)
    sock.setblocking(False)
    try:
        return sock.recv(100) == b"hello"
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(60)


def test_addresses_look_as_they_do_outside(lab: Laboratory, public: Host) -> None:
    site = lab.site(NATS["double"])
    assert not Address("udp", public.ip, 1).is_local
    assert not Address("udp", site.external, 1).is_local
    assert Address("udp", site.hosts[0].ip, 1).is_local
    sites = [lab.site(), lab.site()]
    assert len({tuple(each.external.split(".")[:2]) for each in sites}) == 2, "diverse observers are possible"


def test_hosts_behind_one_router_meet_at_its_outside_when_it_hairpins(lab: Laboratory, public: Host) -> None:
    site = lab.site(NATS["full_cone"], hosts=2)
    with bound(site.hosts[0]) as one, bound(site.hosts[1]) as two, bound(public) as observer:
        where_one, where_two = seen(one, observer), seen(two, observer)
        two.sendto(b"from inside", where_one)
        assert one.recvfrom(100) == (b"from inside", where_two)
        one.sendto(b"and back", where_two)
        assert two.recvfrom(100) == (b"and back", where_one)


def test_hosts_behind_one_router_do_not_meet_at_its_outside_otherwise(lab: Laboratory, public: Host) -> None:
    site = lab.site(NATS["port_restricted"], hosts=2)
    with bound(site.hosts[0]) as one, bound(site.hosts[1]) as two, bound(public) as observer:
        assert not gets_in(one, two, seen(one, observer))
        assert gets_in(one, two, one.getsockname()), "but on their own network they do"


def test_a_rebinding_forgets_the_mapping_and_takes_another_port(lab: Laboratory, public: Host) -> None:
    for name, (kind,) in [(name, kinds) for name, kinds in NATS.items() if len(kinds) == 1 and not kinds[0].blocks_udp]:
        site = lab.site([kind])
        with bound(site.hosts[0]) as sock, bound(public) as observer:
            before = seen(sock, observer)
            assert gets_in(sock, observer, before)
            site.rebind()
            assert not gets_in(sock, observer, before), name
            after = seen(sock, observer)
            assert after[0] == before[0] and after[1] != before[1], name
            assert gets_in(sock, observer, after), name


@pytest.mark.parametrize("name", ["address_restricted", "port_restricted", "symmetric"])
def test_what_was_sent_to_one_address_is_forgotten_alone(lab: Laboratory, public: Host, name: str) -> None:
    site, elsewhere = lab.site(NATS[name]), lab.site()
    with bound(site.hosts[0]) as sock, bound(public) as one, bound(elsewhere.hosts[0]) as other:
        where_one, where_other = seen(sock, one), seen(sock, other)
        site.forget(elsewhere.external)
        assert not gets_in(sock, other, where_other)
        assert gets_in(sock, one, where_one)


@pytest.mark.parametrize("name", ["none", "port_restricted", "double"])
def test_another_uplink_is_another_address(lab: Laboratory, public: Host, name: str) -> None:
    site = lab.site(NATS[name])
    host = site.hosts[0]
    with host.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, bound(public) as observer:
        sock.bind(("0.0.0.0", 0))
        sock.settimeout(60)
        before = seen(sock, observer)
        assert before[0] == site.external
        assert gets_in(sock, observer, before)
        site.change_uplink()
        assert not gets_in(sock, observer, before)
        after = seen(sock, observer)
        assert after[0] == site.external != before[0]
        assert gets_in(sock, observer, after)


def test_a_ttl_of_two_passes_the_own_router_and_not_the_other(lab: Laboratory, public: Host) -> None:
    mine, others = lab.site(NATS["port_restricted"]), lab.site(NATS["port_restricted"])
    with bound(mine.hosts[0]) as sock, bound(others.hosts[0]) as target, bound(public) as observer:
        here, there = seen(sock, observer), seen(target, observer)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
        sock.sendto(b"opener", there)
        target.sendto(b"hello", here)
        assert sock.recvfrom(100) == (b"hello", there), "the opener opened its own router"
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
        sock.sendto(b"probe", there)
        assert target.recvfrom(100) == (b"probe", here), "and never came to the other host"


def test_a_lost_packet_is_one_packet_and_not_a_batch(lab: Laboratory, public: Host) -> None:
    site = lab.site(NATS["port_restricted"])
    try:
        lab.lose(50)
        got = _numbers_that_arrive(site, public)
    finally:
        lab.lose(0)
    lost = [i for i in range(BATCHES * SEGMENTS) if i not in got]
    bursts = sum(i - 1 in got for i in lost)
    assert len(lost) > 50
    assert len(lost) / bursts < 2


def _numbers_that_arrive(site: Site, public: Host) -> set[int]:
    got = set[int]()
    with bound(site.hosts[0]) as source, bound(public) as target:
        target.setblocking(False)
        for batch in range(BATCHES):
            numbers = [(SEGMENTS * batch + i).to_bytes(SEGMENT_BYTES, "big") for i in range(SEGMENTS)]
            segmented = (socket.IPPROTO_UDP, _UDP_SEGMENT, SEGMENT_BYTES.to_bytes(2, "little"))
            source.sendmsg([b"".join(numbers)], [segmented], 0, target.getsockname())
            try:
                while True:
                    got.add(int.from_bytes(target.recv(SEGMENT_BYTES), "big"))
            except BlockingIOError:
                pass
    return got
