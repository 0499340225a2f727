"""Each check for security plugins and packet protections fails on a plugin that breaks just its promise."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from peerkit.errors import RemoteProtocolError
from peerkit.identity import PeerId
from peerkit.plugin import PluginSpec, Settings
from peerkit.protection import AeadProtection
from peerkit.security import Aead, HandshakeParameters, HandshakeResult, PacketProtection, SecurityHandshake
from peerkit.testing import SimNetwork
from peerkit.testing.security_checks import (
    SECURITY_CHECKS,
    SecurityCheck,
    a_cut_message_is_refused,
    security_bed,
)
from peerkit.transport import Buffer
from tests.packaging.distributions.signed_keys.signed_keys import SignedKeys, SignedKeysHandshake

Saboteur = tuple[type[SignedKeys], str]
"""A plugin, and what the check says of it."""


# -- handshakes ----------------------------------------------------------------------------------------------------


class OneKey(SignedKeysHandshake):
    @property
    def result(self) -> HandshakeResult | None:
        real = super().result
        return real and replace(real, receive_secret=real.send_secret)


class ShortHello(SignedKeysHandshake):
    @property
    def result(self) -> HandshakeResult | None:
        real = super().result
        return real and replace(real, payload=real.payload[:255])


class SaysItTwice(SignedKeysHandshake):
    said: Sequence[bytes] = ()

    def messages_to_send(self) -> Sequence[bytes]:
        self.said = super().messages_to_send() or self.said
        return self.said


class TrustsTheRecord(SignedKeysHandshake):
    @property
    def result(self) -> HandshakeResult | None:
        real, static = super().result, self._parameters.remote_static
        return replace(real, peer_id=PeerId(static)) if real and static and len(static) == 32 else real


class ByteWithoutProof(SignedKeysHandshake):
    def messages_to_send(self) -> Sequence[bytes]:
        return [message + b"\0" for message in super().messages_to_send()]

    def receive_message(self, message: bytes) -> None:
        super().receive_message(message[:-1])


class TakesMore(SignedKeysHandshake):
    """Each message has its length in front; what follows is not looked at."""

    def messages_to_send(self) -> Sequence[bytes]:
        return [len(message).to_bytes(2, "big") + message for message in super().messages_to_send()]

    def receive_message(self, message: bytes) -> None:
        super().receive_message(message[2 : 2 + int.from_bytes(message[:2], "big")])


class DiesOfForgeries(SignedKeysHandshake):
    is_dead = False

    def receive_message(self, message: bytes) -> None:
        if self.is_dead:
            raise RemoteProtocolError("an earlier message was wrong")
        try:
            super().receive_message(message)
        except RemoteProtocolError:
            self.is_dead = True
            raise


class NeverOver(SignedKeysHandshake):
    def receive_message(self, message: bytes) -> None:
        if self._result is not None:
            self._result = replace(self._result, payload=message)
        else:
            super().receive_message(message)


class TellsNobody(SignedKeysHandshake):
    @property
    def early_peer(self) -> PeerId | None:
        return None


class Talkative(SignedKeysHandshake):
    """A message each way in clear: who we are, and the Hello."""

    def __init__(self, parameters: HandshakeParameters, peer_id: PeerId, *others: object) -> None:
        super().__init__(parameters, peer_id, b"", lambda _: b"", lambda n: bytes(range(n)))
        self._word = [peer_id.raw + parameters.payload]
        self._due = self._word if parameters.initiator else []

    def receive_message(self, message: bytes) -> None:
        if len(message) < 32 or self._result is not None:
            raise RemoteProtocolError("nobody is named, or somebody again")
        self._peer, self._hello = PeerId(message[:32]), message[32:]
        self._due = [] if self._parameters.initiator else self._word
        self._complete(bytes(32), bytes(32))


class WrongError(SignedKeysHandshake):
    def receive_message(self, message: bytes) -> None:
        try:
            super().receive_message(message)
        except RemoteProtocolError as exc:
            raise IndexError("message index out of range") from exc


def security(kind: type[SignedKeysHandshake]) -> type[SignedKeys]:
    class Broken(SignedKeys):
        def handshake(self, parameters: HandshakeParameters) -> SignedKeysHandshake:
            ctx = self.ctx
            return kind(parameters, ctx.peer_id, ctx.network_id, self._sign, ctx.rng.randbytes)

    return Broken


class NotRandom(SignedKeys):
    def handshake(self, parameters: HandshakeParameters) -> SignedKeysHandshake:
        ctx = self.ctx
        return SignedKeysHandshake(parameters, ctx.peer_id, ctx.network_id, self._sign, lambda n: bytes(range(n)))


class NewStaticKeys(SignedKeys):
    def static_key(self, now_wall: float) -> bytes:
        return self.ctx.rng.randbytes(32)


class ExpectsAnybody(SignedKeys):
    def handshake(self, parameters: HandshakeParameters) -> SignedKeysHandshake:
        return super().handshake(replace(parameters, expected_peer=None))


class ForgetsThePrologue(SignedKeys):
    def handshake(self, parameters: HandshakeParameters) -> SignedKeysHandshake:
        return super().handshake(replace(parameters, prologue=b""))


class KeepsEverything(SignedKeys):
    kept: list[SecurityHandshake] = []  # noqa: RUF012

    def handshake(self, parameters: HandshakeParameters) -> SignedKeysHandshake:
        self.kept.append(made := super().handshake(parameters))
        return made


# -- packets -------------------------------------------------------------------------------------------------------


class Protection:
    """The kernel's; each saboteur changes one thing."""

    def __init__(self, real: AeadProtection) -> None:
        self.real = real
        self.overhead, self.max_packets = real.overhead, real.max_packets

    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return self.real.seal(counter, header, plaintext)

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        return self.real.open(counter, header, sealed)

    def next_generation(self) -> "Protection":
        return type(self)(self.real.next_generation())


class CutsLongOnes(Protection):
    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        return super().open(counter, header, sealed)[:100_000]


class UnderstatesItself(Protection):
    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return super().seal(counter, header, plaintext) + b"\0"

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        return super().open(counter, header, sealed[:-1])


class IgnoresTheHeader(Protection):
    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return super().seal(counter, b"", plaintext)

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        return super().open(counter, b"", sealed)


class OpensTheEmpty(Protection):
    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        return super().open(counter, header, sealed) if len(sealed) > self.overhead else b""


class CountsToFour(Protection):
    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return super().seal(counter % 4, header, plaintext)

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        return super().open(counter % 4, header, sealed)


class OnlySigns(Protection):
    """The plaintext in clear, and a proof of it."""

    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return bytes(plaintext) + super().seal(counter, bytes(header) + bytes(plaintext), b"")

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        data = bytes(sealed)
        super().open(counter, bytes(header) + data[:-16], data[-16:])
        return data[:-16]


class KeepsItsKey(Protection):
    def next_generation(self) -> "Protection":
        return self


def packets(kind: type[Protection]) -> type[SignedKeys]:
    class Broken(SignedKeys):
        def protection(self, secret: bytes, aead: Aead) -> PacketProtection:
            return kind(AeadProtection(secret, aead))

    return Broken


SECURITIES: dict[str, Saboteur] = {
    "both_sides_agree": (security(OneKey), "what one side seals the other cannot open"),
    "hellos_of_every_size_arrive": (security(ShortHello), "a Hello of 255 bytes did not arrive"),
    "messages_come_in_turn": (security(SaysItTwice), "a message was given twice"),
    "two_handshakes_share_nothing": (NotRandom, "repeats messages or secrets of the first"),
    "the_static_key_lasts": (NewStaticKeys, "started again has another static key"),
    "another_than_the_expected_peer_is_refused": (ExpectsAnybody, "other than the expected one was taken"),
    "a_wrong_static_key_proves_nobody": (security(TrustsTheRecord), "a static key alone proved its peer"),
    "both_must_have_the_same_prologue": (ForgetsThePrologue, "two sides with different prologues: both sides complete"),
    "a_changed_bit_is_refused": (security(ByteWithoutProof), "message 1 with a changed bit: both sides complete"),
    "a_cut_message_is_refused": (security(TakesMore), "message 1 cut short or made longer: both sides complete"),
    "a_forged_message_kills_nothing": (security(DiesOfForgeries), "after a forged message the real one was refused"),
    "messages_after_the_end_change_nothing": (security(NeverOver), "a message after the end changed the result"),
    "messages_of_another_handshake_are_refused": (
        security(Talkative),
        "in place of message 1 one of another handshake: both sides complete",
    ),
    "a_replay_gives_nobody_keys": (NotRandom, "leads to the keys of the recorded session"),
    "a_reflected_message_is_refused": (security(Talkative), "took its own message for another peer's"),
    "the_early_peer_is_the_proven_one": (security(TellsNobody), "the early peer is not told"),
    "nothing_readable_is_on_the_wire": (security(Talkative), "a message shows a peer id"),
    "an_abandoned_handshake_leaves_nothing": (KeepsEverything, r"each abandoned handshake leaves \d+ bytes"),
    "what_was_sealed_opens": (packets(CutsLongOnes), "of 131072 bytes under counter .* something else was opened"),
    "its_overhead_is_true": (packets(UnderstatesItself), "sealing 0 bytes adds 17, not the stated 16"),
    "a_changed_packet_is_refused": (packets(IgnoresTheHeader), "under a header with a changed bit was opened"),
    "a_cut_packet_is_refused": (packets(OpensTheEmpty), "a packet of 26 bytes cut to 0 was opened"),
    "a_packet_in_anothers_place_is_refused": (packets(CountsToFour), "packet 0 in the place of packet 4 was opened"),
    "no_two_packets_look_alike": (packets(OnlySigns), "a packet shows its plaintext"),
    "both_ends_follow_to_the_next_key": (packets(KeepsItsKey), "a packet of key 0 under key 1 was opened"),
}


@pytest.mark.parametrize("check", SECURITY_CHECKS, ids=lambda check: check.__name__)
async def test_the_check_sees_the_broken_security(net: SimNetwork, check: SecurityCheck) -> None:
    broken, sentence = SECURITIES[check.__name__]
    with pytest.raises(AssertionError, match=sentence):
        check(security_bed(net, PluginSpec(Settings, broken)))


async def test_an_error_that_is_not_the_interfaces_is_a_broken_promise(net: SimNetwork) -> None:
    bed = security_bed(net, PluginSpec(Settings, security(WrongError)))
    with pytest.raises(AssertionError, match="may raise RemoteProtocolError and nothing else"):
        a_cut_message_is_refused(bed)


def test_no_saboteur_is_without_its_check() -> None:
    assert set(SECURITIES) == {check.__name__ for check in SECURITY_CHECKS}
