"""Who answers in the router's place, late, or with what is no answer: refused, within a bounded (virtual) time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest
from peerkit_nat_upnp import igd
from peerkit_nat_upnp.http_answer import MAX_BODY_BYTES, MAX_HEAD_BYTES
from peerkit_nat_upnp.io.http_client import DEADLINE_S
from peerkit_nat_upnp.io.igd_mapper import IgdMapper
from peerkit_nat_upnp.io.nat_pmp_mapper import NatPmpMapper
from peerkit_nat_upnp.io.pcp_mapper import PcpMapper
from peerkit_nat_upnp.mapping import Mapper, MappingFailed

from peerkit.testing import run
from plugins.nat_upnp.tests.routers import HOST, NEIGHBOUR, ROUTER, Home, home

SEARCH_S = 6.5  # all the waits of a search
DATAGRAM_S = 7.75  # all the tries of a question by datagram
HEAD = b"HTTP/1.1 200 OK\r\n"
SERVICE = f"<service><serviceType>{igd.CONNECTIONS[0]}</serviceType><controlURL>/ctl</controlURL></service>"
DESCRIPTION = f"<root><device><serviceList>{SERVICE}</serviceList></device></root>".encode()
ANNOUNCED = bytes.fromhex("028000000000000000000003" + "00" * 12)
TOLD = bytes.fromhex("00800000000000052d010102")


def http(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def found_at(host: str, port: int = 5_000) -> bytes:
    """The answer to a search."""
    return f"HTTP/1.1 200 OK\r\nST: {igd.DEVICES[0]}\r\nLOCATION: http://{host}:{port}/desc.xml\r\n\r\n".encode()


def in_home(work: Callable[[Home], Coroutine[object, object, None]]) -> None:
    async def main() -> None:
        await work(home())

    run(main(), seed=1)


async def refused(probing: Awaitable[None], words: str, within_s: float) -> None:
    began_at = asyncio.get_running_loop().time()
    with pytest.raises(MappingFailed, match=words):
        await probing
    assert asyncio.get_running_loop().time() - began_at <= within_s + 0.1


def mapper_of(at: Home, protocol: str) -> Mapper:
    platform = at.net.platform(HOST)
    if protocol == "pcp":
        return PcpMapper(platform.network, at.gateway, platform.clock, platform.rng)
    if protocol == "nat_pmp":
        return NatPmpMapper(platform.network, at.gateway, platform.clock)
    return IgdMapper(platform.network, at.gateway, platform.rng)


@pytest.mark.parametrize(("protocol", "answer"), [("pcp", ANNOUNCED), ("nat_pmp", TOLD)])
@pytest.mark.parametrize("liar", ["neighbour", "another port of the router"])
def test_an_answer_that_does_not_come_from_the_router_is_none(protocol: str, answer: bytes, liar: str) -> None:
    async def work(at: Home) -> None:
        place = (
            at.neighbour.bind_datagrams(NEIGHBOUR, 5_351)
            if liar == "neighbour"
            else at.router.bind_datagrams(ROUTER, 9)
        )
        at.answer_datagrams(5_351, lambda _question, _source: [(place, answer)])
        mapper = mapper_of(at, protocol)
        await refused(mapper.probe(), "does not answer", DATAGRAM_S)
        mapper.close()

    in_home(work)


@pytest.mark.parametrize(("protocol", "answer"), [("pcp", ANNOUNCED), ("nat_pmp", TOLD)])
def test_the_same_answer_from_the_router_is_one(protocol: str, answer: bytes) -> None:
    async def work(at: Home) -> None:
        at.answer_datagrams(5_351, lambda _question, _source: [(endpoint, answer)])
        endpoint = at.router.endpoints[ROUTER, 5_351]
        await mapper_of(at, protocol).probe()

    in_home(work)


@pytest.mark.parametrize("leads_to", [ROUTER, NEIGHBOUR])
def test_a_neighbour_that_answers_a_search_is_not_asked_further(leads_to: str) -> None:
    async def work(at: Home) -> None:
        place = at.neighbour.bind_datagrams(NEIGHBOUR, 1_900)
        at.answer_datagrams(1_900, lambda _question, _source: [(place, found_at(leads_to))])
        for host in (at.router, at.neighbour):
            await at.serve_http(host, [http(DESCRIPTION)])
        await refused(mapper_of(at, "upnp").probe(), "no gateway device answers", SEARCH_S)
        assert not at.dialled

    in_home(work)


def test_a_router_that_names_another_host_is_not_followed() -> None:
    async def work(at: Home) -> None:
        at.answer_datagrams(
            1_900, lambda _question, _source: [(at.router.endpoints[ROUTER, 1_900], found_at(NEIGHBOUR))]
        )
        await at.serve_http(at.neighbour, [http(DESCRIPTION)])
        await refused(mapper_of(at, "upnp").probe(), "no gateway device answers", SEARCH_S)
        assert not at.dialled

    in_home(work)


def described(at: Home) -> None:
    at.answer_datagrams(1_900, lambda _question, _source: [(at.router.endpoints[ROUTER, 1_900], found_at(ROUTER))])


def test_an_honest_router_is_understood() -> None:
    async def work(at: Home) -> None:
        described(at)
        await at.serve_http(at.router, [http(DESCRIPTION)])
        await mapper_of(at, "upnp").probe()

    in_home(work)


BOMB = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><root>&b;&b;&b;</root>'
EXTERNAL = f'<!DOCTYPE a [<!ENTITY x SYSTEM "http://{NEIGHBOUR}:5000/x">]><root>&x;</root>'.encode()
EXTERNAL_DTD = f'<!DOCTYPE root SYSTEM "http://{NEIGHBOUR}:5000/a.dtd">'.encode() + DESCRIPTION


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([HEAD + b"X: " + bytes(MAX_HEAD_BYTES)], "head without end"),
        ([HEAD + b"\r\n", *([b" " * 4_096] * (MAX_BODY_BYTES // 4_096 + 1))], "more than"),
        ([HEAD + b"Content-Length: 999999\r\n\r\n"], "too long"),
        ([f"HTTP/1.1 302 Found\r\nLocation: http://{NEIGHBOUR}:5000/\r\nContent-Length: 0\r\n\r\n".encode()], "302"),
        ([http(BOMB)], "refused"),
        ([http(EXTERNAL)], "refused"),
        ([http(EXTERNAL_DTD)], "refused"),
        ([http(DESCRIPTION.replace(b"/ctl", f"http://{NEIGHBOUR}:5000/ctl".encode()))], "not its own"),
    ],
    ids=["head", "body", "length", "redirect", "entities", "external entity", "external DTD", "control URL"],
)
def test_what_is_no_description_is_refused_at_once_and_leads_nowhere(answer: list[bytes], words: str) -> None:
    async def work(at: Home) -> None:
        described(at)
        await at.serve_http(at.router, answer)
        await at.serve_http(at.neighbour, [http(DESCRIPTION)])
        await refused(mapper_of(at, "upnp").probe(), words, 1.0)
        assert at.dialled == {ROUTER: 1}

    in_home(work)


@pytest.mark.parametrize(
    "answer", [[], [bytes((byte,)) for byte in http(DESCRIPTION)]], ids=["nothing", "a byte a second"]
)
def test_a_slow_router_holds_us_no_longer_than_the_deadline(answer: list[bytes]) -> None:
    async def work(at: Home) -> None:
        described(at)
        await at.serve_http(at.router, answer, 1.0)
        await refused(mapper_of(at, "upnp").probe(), f"longer than {DEADLINE_S:g} s", DEADLINE_S + 1)

    in_home(work)


def test_questions_that_nobody_answers_end() -> None:
    async def work(at: Home) -> None:
        for protocol, within_s in (("pcp", DATAGRAM_S), ("nat_pmp", DATAGRAM_S), ("upnp", SEARCH_S)):
            await refused(mapper_of(at, protocol).probe(), "answer", within_s)

    in_home(work)
