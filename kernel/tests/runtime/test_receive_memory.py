"""Scopes: what one session, one neighbourhood and the whole node may hold."""

import pytest

from peerkit._runtime.receive_memory import KEPT_NEIGHBOURHOODS, ReceiveMemory
from peerkit.address import Address
from peerkit.errors import LimitExceeded


def of(host: str) -> Address:
    return Address("tcp", host, 1)


def test_one_neighbourhood_leaves_room_for_others() -> None:
    memory = ReceiveMemory(max_bytes=100, max_neighbourhood_bytes=30)
    sessions = [memory.open("s", of(f"9.9.9.{n}"), 10, 100) for n in range(3)]
    with pytest.raises(LimitExceeded, match=r"9\.9\.9\.0/24 may hold 30"):
        memory.open("s", of("9.9.9.200"), 10, 100)
    elsewhere = memory.open("s", of("9.9.8.1"), 10, 100)
    assert elsewhere.free == 20
    sessions[0].close()
    assert memory.open("s", of("9.9.9.200"), 10, 100).used == 10


def test_nothing_left_means_no_session_and_nothing_is_counted() -> None:
    memory = ReceiveMemory(max_bytes=100, max_neighbourhood_bytes=30)
    ours = memory.open("s", of("127.0.0.1"), 95, 100)  # local addresses count for the node alone
    with pytest.raises(LimitExceeded, match="the node's receive windows may hold 100"):
        memory.open("s", of("9.9.9.1"), 10, 100)
    assert memory.node.used == 95
    ours.close()
    assert memory.node.used == 0


def test_neighbourhoods_that_left_are_forgotten() -> None:
    memory = ReceiveMemory()
    stays = memory.open("s", of("9.9.9.1"), 1, 10)
    for n in range(2 * KEPT_NEIGHBOURHOODS):
        memory.open("s", of(f"9.{n // 250}.{n % 250}.1"), 1, 10).close()
    assert len(list(memory.node.counters())) <= KEPT_NEIGHBOURHOODS + 2
    assert memory.node.used == stays.used == 1
