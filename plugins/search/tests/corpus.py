"""Postings, identities and a Zipf corpus for the tests of search."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log

from peerkit_search.posting import Posting, make_posting
from peerkit_search.terms import Analyzer

from peerkit.identity import Identity
from peerkit.record import Signed, network_id

NETWORK = network_id("test")
WALL = 1_700_000_000.0
ENGLISH = Analyzer(("en",))


def identity(number: int) -> Identity:
    return Identity(number.to_bytes(32, "big"))


def signer(who: Identity) -> Callable[[str, bytes], Signed]:
    return lambda purpose, body: Signed(body, who.sign(purpose, NETWORK, body))


def posting(
    name: str,
    who: int = 1,
    root: bytes | None = None,
    sequence: int = 1,
    withdrawn: bool = False,
    wall: float = WALL,
    size_bytes: int = 1000,
    type: str = "text/plain",
) -> Posting:
    """A signed posting of publisher `who`; the root follows from the name unless told."""
    return make_posting(
        signer(identity(who)),
        identity(who).peer_id,
        root or name.encode().ljust(32, b".")[:32],
        name,
        size_bytes,
        type,
        ENGLISH.document_terms(name),
        sequence,
        wall,
        withdrawn,
    )


@dataclass(frozen=True)
class Document:
    """A document of the generated corpus; `words` may repeat."""

    root: bytes
    words: tuple[str, ...]
    publisher: int

    @property
    def name(self) -> str:
        return " ".join(self.words)


def zipf_corpus(documents: int, vocabulary: int, publishers: int, rng: random.Random) -> list[Document]:
    """Names of 3 to 8 words drawn by Zipf's law (exponent 1), each document of one publisher."""
    words = [_word(i) for i in range(vocabulary)]
    weights = list(accumulate(1 / (i + 1) for i in range(vocabulary)))
    return [
        Document(
            rng.randbytes(32),
            tuple(rng.choices(words, cum_weights=weights, k=rng.randint(3, 8))),
            rng.randrange(publishers),
        )
        for _ in range(documents)
    ]


def _word(number: int) -> str:
    """A made-up word that no stemmer changes."""
    syllables = ""
    while number or not syllables:
        number, digit = divmod(number, 60)
        syllables += "bdfgjkmnprtv"[digit // 5] + "aeiou"[digit % 5]
    return syllables + "x"


class CentralIndex:
    """The oracle: plain BM25 (k1 = 1.2, b = 0.75) over the words of all documents, with every count known."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._by_word: dict[str, list[Document]] = {}
        for document in documents:
            for word in set(document.words):
                self._by_word.setdefault(word, []).append(document)
        self._size = len(documents)
        self._mean = sum(len(document.words) for document in documents) / len(documents)

    def count(self, word: str) -> int:
        return len(self._by_word.get(word, ()))

    def scores(self, query: Sequence[str]) -> dict[bytes, float]:
        """Root → score of every document that holds all words."""
        rarest = min(query, key=self.count)
        found = [d for d in self._by_word.get(rarest, ()) if set(query) <= set(d.words)]
        return {document.root: self._score(document, query) for document in found}

    def _score(self, document: Document, query: Sequence[str]) -> float:
        total = 0.0
        for word in query:
            df = self.count(word)
            tf = document.words.count(word)
            norm = 1.2 * (1 - 0.75 + 0.75 * len(document.words) / self._mean)
            total += log(1 + (self._size - df + 0.5) / (df + 0.5)) * tf * 2.2 / (tf + norm)
        return total


def recall(found: Sequence[bytes], scores: dict[bytes, float], k: int = 20) -> float:
    """The share of the oracle's best k that was found; documents that score alike can stand for each other."""
    best = sorted(scores.values(), reverse=True)[:k]
    if not best:
        return 1.0
    worst = best[-1] - 1e-9
    return min(1.0, sum(scores.get(root, 0.0) >= worst for root in found[:k]) / len(best))
