"""The node's public IPv4 by web pages that tell each visitor its own.  Pure: what counts as an answer, and which wins.

    one         the first page; what it says is taken
    failover    the pages in their order, until one answers
    consensus   all at once; what a quorum says, and nobody contradicts with as many voices

A page is a third party that learns our address and may lie, hang or be somebody else by now.  So none is asked unless
the owner names it, an answer is one plain public IPv4 and nothing else, and what comes of it is a guess like a peer's
word: it goes into our record when a dial-back reached it.
"""

import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from peerkit.address_space import is_public

Mode = Literal["off", "one", "failover", "consensus"]
MAX_BODY_BYTES = 64  # an address and some white space; stops a page that never ends


@dataclass(frozen=True, slots=True)
class UrlAnswer:
    """What one page said: a host, or why there is none."""

    url: str
    host: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UrlVerdict:
    """Attributes:
    host: the public IPv4, or empty.
    reason: why there is none.
    answers: of the pages that were asked.
    """

    host: str
    reason: str
    answers: tuple[UrlAnswer, ...]


def read_answer(url: str, status: int, body: bytes) -> UrlAnswer:
    """Args:
    body: at most `MAX_BODY_BYTES` + 1 bytes: one more says that it goes on.
    """
    if status != 200:
        return UrlAnswer(url, reason=f"it answered with status {status}")
    if len(body) > MAX_BODY_BYTES:
        return UrlAnswer(url, reason=f"its answer is longer than {MAX_BODY_BYTES} bytes")
    try:
        host = str(ipaddress.IPv4Address(body.decode("ascii").strip()))
    except ValueError:
        return UrlAnswer(url, reason="its answer is no IPv4 address")
    if not is_public(host):
        return UrlAnswer(url, reason=f"{host} is no public address")
    return UrlAnswer(url, host)


def agreed(answers: Sequence[UrlAnswer], quorum: int) -> UrlVerdict:
    """What at least `quorum` pages say, more than say anything else."""
    votes = Counter(answer.host for answer in answers if answer.host).most_common(2)
    if not votes:
        return UrlVerdict("", "no page answered", tuple(answers))
    host, count = votes[0]
    if count < quorum:
        return UrlVerdict("", f"only {count} of {quorum} pages agree", tuple(answers))
    if len(votes) > 1 and votes[1][1] == count:
        return UrlVerdict("", f"{count} pages say {host} and as many {votes[1][0]}", tuple(answers))
    return UrlVerdict(host, "", tuple(answers))
