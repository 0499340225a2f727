"""Handshake patterns of the Noise Protocol Framework (revision 34, §7 and §9) as tables of tokens.

Only the two that Peerkit speaks, and the `psk` modifier, which is general.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Token(Enum):
    """What a message does, in order (§7.1)."""

    E = "e"  # a fresh ephemeral public key, in clear
    S = "s"  # the static public key, encrypted as soon as there is a key
    EE = "ee"  # Diffie-Hellman; the first letter is the initiator's key
    ES = "es"
    SE = "se"
    SS = "ss"
    PSK = "psk"  # the pre-shared key


@dataclass(frozen=True, slots=True)
class Pattern:
    """Attributes:
    name: as in the protocol name, modifiers included.
    responder_pre: whether the initiator knows the responder's static key beforehand.
    messages: tokens of each message; the initiator sends the first, then they alternate.
    """

    name: str
    responder_pre: bool
    messages: tuple[tuple[Token, ...], ...]

    @property
    def has_psk(self) -> bool:
        return any(Token.PSK in tokens for tokens in self.messages)

    def with_psk(self, *positions: int) -> "Pattern":
        """The pattern with `psk` modifiers (§9.4): 0 is before the first message's tokens, n after message n's."""
        messages: list[Sequence[Token]] = list(self.messages)
        for position in positions:
            if position == 0:
                messages[0] = (Token.PSK, *messages[0])
            else:
                messages[position - 1] = (*messages[position - 1], Token.PSK)
        name = self.name + "+".join(f"psk{position}" for position in positions)
        return replace(self, name=name, messages=tuple(tuple(m) for m in messages))


E, S, EE, ES, SE, SS = Token.E, Token.S, Token.EE, Token.ES, Token.SE, Token.SS

IK = Pattern("IK", True, ((E, ES, S, SS), (E, EE, SE)))
XX = Pattern("XX", False, ((E,), (E, EE, S, ES), (S, SE)))
