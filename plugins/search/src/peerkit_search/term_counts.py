"""What this node knows of how many documents hold a term, learnt from answers; bounded and short-lived."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

MAX_TERMS_KNOWN = 4096  # some 600 KB; an asker with more words probes again
LIFE_S = 3600.0  # guess


class TermCounts:
    """Term → number of postings, as the last index peer said."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def learn(self, term: str, count: int, now: float) -> None:
        self._known.pop(term, None)
        self._known[term] = (count, now + LIFE_S)
        if len(self._known) > MAX_TERMS_KNOWN:
            self._known.popitem(last=False)

    def at(self, now: float) -> Mapping[str, int]:
        """What is still valid."""
        return _View(self._known, now)


class _View(Mapping[str, int]):
    def __init__(self, known: Mapping[str, tuple[int, float]], now: float) -> None:
        self._known = known
        self._now = now

    def __getitem__(self, term: str) -> int:
        count, until = self._known[term]
        if until <= self._now:
            raise KeyError(term)
        return count

    def __iter__(self) -> Iterator[str]:
        return (term for term, (_, until) in self._known.items() if until > self._now)

    def __len__(self) -> int:
        return sum(1 for _ in self)
