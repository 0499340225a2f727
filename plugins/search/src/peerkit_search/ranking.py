"""Order of results, decided by the asker alone: nothing that an index peer says can raise a result, only its absence
can lower one.

    score = BM25(words, terms) × (1 + ln publishers) × freshness × liveness,  then damped for crowds

BM25 (Robertson, Zaragoza 2009) over the words of the title, as far as the signed set of terms bears them out.  All
postings of one content are one result;
under conflicting titles the one that most neighbourhoods vouch for is shown.  Publishers are counted by network
neighbourhood, so that a thousand identities behind one prefix count as one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

from .posting import LIFE_S, Posting
from .terms import Analyzer, Word, term_id

K1 = 1.2  # the usual value
B = 0.75  # the usual value
MEAN_WORDS = 5.0  # guess: of a file name; only scales, since it does not change the order
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
    analyzer: Analyzer,
    counts: Mapping[str, int],
    now_wall: float,
    liveness: Callable[[bytes], float] = lambda _: 1.0,
) -> list[Ranked]:
    """Best first.

    Args:
        analyzer: the one that made `words`.
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
        score = _bm25(weights, posting, analyzer) * (1 + log(voices)) * liveness(root)
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


@dataclass(frozen=True, slots=True)
class _Weight:
    """One query word: its folded form, the terms that count as it, its inverse document frequency."""

    folded: str
    terms: frozenset[str]
    idf: float


def _weights(words: Sequence[Word], counts: Mapping[str, int]) -> list[_Weight]:
    weights: list[_Weight] = []
    for word in words:
        known = max((counts.get(term, 0) for alternative in word.alternatives for term in alternative), default=0)
        corpus = max(CORPUS, 2 * known)
        terms = frozenset(alternative[0] for alternative in word.alternatives if len(alternative) == 1)
        weights.append(_Weight(word.folded, terms, log(1 + (corpus - known + 0.5) / (known + 0.5))))
    return weights


def _bm25(weights: Sequence[_Weight], posting: Posting, analyzer: Analyzer) -> float:
    """Of a posting known to match every word.  Words of the title that its terms do not hold are not counted: a cut or
    lying title gains nothing; each query word counts at least once."""
    signed = frozenset(posting.terms)
    titled = [forms for forms in analyzer.title_words(posting.title) if term_id(forms[0]) in signed]
    norm = K1 * (1 - B + B * max(len(titled), 1) / MEAN_WORDS)
    total = 0.0
    for weight in weights:
        frequency = max(1, sum(not weight.terms.isdisjoint(forms) for forms in titled))
        exact = 1.0 if term_id(weight.folded) in signed else STEM_WEIGHT
        total += weight.idf * exact * frequency * (K1 + 1) / (frequency + norm)
    return total


def _shown(cluster: Sequence[Evidence]) -> Evidence:
    """The posting whose title most neighbourhoods give; the newest of those."""
    voices: dict[str, set[bytes]] = {}
    for item in cluster:
        voices.setdefault(item.posting.title, set()).add(item.voice)
    return max(
        cluster, key=lambda item: (len(voices[item.posting.title]), item.posting.sequence, item.posting.publisher)
    )
