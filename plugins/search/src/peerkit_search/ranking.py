"""Order of results, decided by the asker alone: nothing that an index peer says can raise a result, only its absence
can lower one.

    score = BM25(words, terms) × (1 + ln publishers) × freshness × liveness,  then damped for crowds

BM25 (Robertson, Zaragoza 2009) on sets of terms: a term is there or not.  All postings of one content are one result;
under conflicting titles the one that most neighbourhoods vouch for is shown.  Publishers are counted by network
neighbourhood, so that a thousand identities behind one prefix count as one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

from .posting import LIFE_S, Posting
from .terms import Word, term_id

K1 = 1.2  # the usual value
B = 0.75  # the usual value
MEAN_TERMS = 10.0  # guess: a file name's terms with their stems; only scales, since it does not change the order
CORPUS = 1_000_000  # guess: documents in the network, for the weight of a word; more when a word is known in more
STEM_WEIGHT = 0.8  # guess: a word matched by its stem only, against the word itself
OLDEST_FRESHNESS = 0.9  # Tribler's range 0.9–1
CROWD_DAMPING = 0.25  # guess: the n-th result of one neighbourhood counts 1 / (1 + 0.25 n)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verified posting and the neighbourhood that the index peer saw (0: local or unknown)."""

    posting: Posting
    neighbourhood: int = 0

    @property
    def voice(self) -> bytes:
        """Whose word this is: the neighbourhood's, or on a local network the publisher's own."""
        return self.neighbourhood.to_bytes(4, "big") if self.neighbourhood else self.posting.publisher.raw


@dataclass(frozen=True, slots=True)
class Ranked:
    """One content.  `posting` is the one whose title is shown; `publishers` counts distinct peers."""

    posting: Posting
    score: float
    publishers: int


def rank(
    words: Sequence[Word],
    evidence: Iterable[Evidence],
    counts: Mapping[str, int],
    now_wall: float,
    liveness: Callable[[bytes], float] = lambda _: 1.0,
) -> list[Ranked]:
    """Best first.

    Args:
        counts: what is known of the number of documents that hold a term.
        liveness: root → 0..1, how likely somebody serves the content now.
    """
    weights = _weights(words, counts)
    clusters: dict[bytes, list[Evidence]] = {}
    for item in evidence:
        clusters.setdefault(item.posting.root, []).append(item)
    scored: list[tuple[float, Evidence, list[Evidence]]] = []
    for root, cluster in clusters.items():
        shown = _shown(cluster)
        posting = shown.posting
        voices = len({item.voice for item in cluster})
        left = min(1.0, max(0.0, (posting.expires_at - now_wall) / LIFE_S))
        score = bm25(weights, frozenset(posting.terms)) * (1 + log(voices)) * liveness(root)
        scored.append((score * (OLDEST_FRESHNESS + (1 - OLDEST_FRESHNESS) * left), shown, cluster))
    scored.sort(key=lambda row: (-row[0], row[1].posting.root))
    placed: dict[int, int] = {}
    ranked: list[Ranked] = []
    for score, shown, cluster in scored:
        before = placed.get(shown.neighbourhood, 0) if shown.neighbourhood else 0
        placed[shown.neighbourhood] = before + 1
        publishers = len({item.posting.publisher for item in cluster})
        ranked.append(Ranked(shown.posting, score / (1 + CROWD_DAMPING * before), publishers))
    ranked.sort(key=lambda row: -row.score)
    return ranked


def _weights(words: Sequence[Word], counts: Mapping[str, int]) -> list[tuple[bytes, float]]:
    weights: list[tuple[bytes, float]] = []
    for word in words:
        known = max((counts.get(term, 0) for alternative in word.alternatives for term in alternative), default=0)
        corpus = max(CORPUS, 2 * known)
        weights.append((term_id(word.folded), log(1 + (corpus - known + 0.5) / (known + 0.5))))
    return weights


def bm25(weights: Sequence[tuple[bytes, float]], terms: frozenset[bytes]) -> float:
    """Of a document known to match every word.  `weights`: id of the folded word, its inverse document frequency."""
    norm = (K1 + 1) / (1 + K1 * (1 - B + B * len(terms) / MEAN_TERMS))
    return norm * sum(weight * (1.0 if folded in terms else STEM_WEIGHT) for folded, weight in weights)


def _shown(cluster: Sequence[Evidence]) -> Evidence:
    """The posting whose title most neighbourhoods give; the newest of those."""
    voices: dict[str, set[bytes]] = {}
    for item in cluster:
        voices.setdefault(item.posting.title, set()).add(item.voice)
    return max(
        cluster, key=lambda item: (len(voices[item.posting.title]), item.posting.sequence, item.posting.publisher)
    )
