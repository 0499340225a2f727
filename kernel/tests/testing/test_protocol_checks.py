"""The checks of protocols: an honest one passes, and each finds the protocol that breaks its promise."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kernel.tests.testing.sabotage import assert_all_sabotaged, assert_caught, cases
from peerkit import Peer, ProtocolSpec, Request, Session, Stream
from peerkit.errors import EndpointClosed, LocalProtocolError, RemoteProtocolError
from peerkit.session import RemoteFailure
from peerkit.testing import SimNetwork, run
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck

PROFILE = {"node": {"extends": "local", "disable": ["discovery_kademlia", "search", "warehouse", "transport_udp"]}}
ID = "example.org/digits"


class Digits:
    """Answers digits with their sum, in every way that protocols talk."""

    more: dict[str, Any] = {}  # noqa: RUF012 -- of the spec

    def spec(self) -> ProtocolSpec:
        handlers: dict[str, Any] = {
            "on_peer": self.on_peer,
            "on_stream": self.on_stream,
            "on_request": self.on_request,
            "on_message": self.on_message,
            "on_datagram": self.on_datagram,
        }
        return ProtocolSpec(ID, "1.2.0", **{"accepts": ">=1.0,<2", "max_request_bytes": 64, **handlers, **self.more})

    def read(self, data: bytes) -> int:
        if not data or not set(data) <= set(b"0123456789"):
            raise RemoteProtocolError("it is no row of digits")
        return sum(digit - 48 for digit in data)

    async def on_peer(self, peer: Peer) -> None:
        try:
            self.read(await peer.request(ID, b"12", 5))
        except (RemoteProtocolError, RemoteFailure, EndpointClosed):
            return

    def on_request(self, request: Request) -> Any:
        return b"%d" % self.read(request.payload)

    def on_message(self, request: Request) -> Any:
        self.read(request.payload)

    def on_datagram(self, session: Session, data: bytes) -> None:
        self.read(data)

    async def on_stream(self, stream: Stream) -> None:
        data = await stream.read(1)
        await stream.write(b"%d" % self.read(data))


def bed(kind: type[Digits]) -> Callable[[], ProtocolBed]:
    valid = [b"123", b"7"]
    return lambda: ProtocolBed(SimNetwork(), PROFILE, ID, valid, [b"x"], valid, valid, valid, protocols=[kind().spec()])


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_an_honest_one_passes(check: ProtocolCheck) -> None:
    async def main() -> None:
        await check(bed(Digits)())

    run(main())


def test_strangers_are_let_in_to_a_private_network() -> None:
    """They have the settings of what carries sessions: a stranger to the plugin, not to the network."""

    async def main() -> None:
        profile = {**PROFILE, "plugins": {"secure_noise": {"psk": "ab" * 32}}}
        made = ProtocolBed(SimNetwork(), profile, ID, [b"12"], protocols=[Digits().spec()])
        for check in PROTOCOL_CHECKS[:2]:
            await check(made)

    run(main())


class Lonely(Digits):
    more = {"accepts": ">=2"}  # noqa: RUF012


class Unsure(Digits):
    def on_request(self, request: Request) -> Any:
        raise RemoteProtocolError("it is never right")


class Naive(Digits):
    def read(self, data: bytes) -> int:
        return sum(int(digit) for digit in data.decode("ascii"))


class Blames(Digits):
    def read(self, data: bytes) -> int:
        try:
            return super().read(data)
        except RemoteProtocolError as exc:
            raise LocalProtocolError("something is wrong here") from exc


class Sleepy(Digits):
    more = {"timeout_s": 300.0}  # noqa: RUF012

    async def on_request(self, request: Request) -> Any:
        try:
            return b"%d" % self.read(request.payload)
        except RemoteProtocolError:
            await asyncio.sleep(299)
            raise


class Broken(Digits):
    """One malformed request, and it answers no more."""

    is_well = True

    def on_request(self, request: Request) -> Any:
        if self.is_well:
            self.is_well = False
            answer = super().on_request(request)
            self.is_well = True
            return answer
        raise RemoteProtocolError("not now")


class Hopeful(Digits):
    async def on_peer(self, peer: Peer) -> None:
        try:
            int(await peer.request(ID, b"12", 5))
        except (RemoteProtocolError, RemoteFailure, EndpointClosed):
            return


class Lingers(Digits):
    async def on_stream(self, stream: Stream) -> None:
        until = asyncio.get_running_loop().time() + 600
        while (left_s := until - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError:
                continue


class Expects(Digits):
    """Takes it for granted that a peer which opens a stream says something."""

    async def on_stream(self, stream: Stream) -> None:
        data = await stream.read(1)
        assert data
        await super().on_stream(stream)


SABOTEURS = {
    "versions_are_agreed": [(bed(Lonely), r"digits 1.2.0 does not accept its own version: '>=2'")],
    "valid_requests_are_answered": [(bed(Unsure), "got the error remote_protocol: it is never right")],
    "hostile_requests_are_answered_or_refused": [
        (bed(Naive), r"a request of 1 bytes \(78\) made the plugin fail.*: ValueError: invalid literal"),
        (bed(Blames), "a request of 1 bytes .*something is wrong here"),
        (bed(Sleepy), "a request of 1 bytes .* got no answer within 120 s"),
        (bed(Broken), "after hostile requests, the valid request 3 bytes .* got the error remote_protocol: not now"),
    ],
    "hostile_messages_are_passed_over": [
        (bed(Naive), r"a message of .* made the plugin fail: .*: ValueError: invalid literal")
    ],
    "hostile_datagrams_are_passed_over": [(bed(Naive), r"a datagram of .* made the plugin fail.*ValueError")],
    "hostile_streams_end": [
        (bed(Naive), r"a stream of .* made the plugin fail.*ValueError"),
        (bed(Expects), r"a stream of 0 bytes .* made the plugin fail.*AssertionError"),
    ],
    "peers_that_answer_nonsense_are_survived": [
        (bed(Hopeful), "a peer that answers nonsense made the plugin fail.*ValueError")
    ],
    "handlers_end_with_their_session": [(bed(Lingers), "6 tasks of the plugin go on for peers that have gone")],
}


def test_each_check_has_a_saboteur() -> None:
    assert_all_sabotaged(PROTOCOL_CHECKS, SABOTEURS)


@pytest.mark.parametrize(("name", "make", "sentence"), cases(SABOTEURS))
def test_the_broken_one_is_found(name: str, make: Callable[[], ProtocolBed], sentence: str) -> None:
    assert_caught(PROTOCOL_CHECKS, name, make, sentence)
