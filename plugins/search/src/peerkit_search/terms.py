"""Text to terms: what a file name is indexed under and what a query asks for.

    NFKC → words (letters, marks, digits) → CamelCase and digit parts → case folding → stop-words out →
    folded word + its stems, or pairs of characters for scripts without spaces

A *document* gets, for each word, its folded form and its stem in every language of the node that is written in the
word's script.  A *query* word is a choice of alternatives, most telling first; an alternative is one or more terms that
must all be there.  So two nodes meet on the folded word whatever their languages, and on the stem when they share one.
Why not one stem only: `docs/decisions/search-terms.md`.

Diacritics count for the stemmer and not for matching: `häuser`, `hauser` and `HÄUSER` are one word.  They are kept
where they make another letter (Cyrillic й, kana with voicing marks, Indic vowel signs).
"""

import hashlib
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from .languages import STEMMERS, STOP_WORDS, UNSPACED_NAMES, Script

MAX_TERMS = 24  # of one document; bounds the posting and the number of index peers a publisher troubles
MAX_TERM_BYTES = 64  # in UTF-8; longer words are cut on both sides alike
MAX_QUERY_WORDS = 12
MAX_ALTERNATIVES = 8  # of one query word
MAX_TEXT_CHARS = 1024  # only so much of a name or query is read: stops quadratic or endless work on hostile text
TERM_ID_BYTES = 6  # 2^48: two words of a million meet by chance in one of 500 corpora; nothing rests on its secrecy
_CACHED_WORDS = 16_384  # stems kept, some 3 MiB; a word costs 25–45 µs for each language (measured)

# Letters that Unicode does not decompose but people type without their stroke.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "ـ": None}
)
_BARE_SCRIPTS = frozenset({Script.LATIN, Script.GREEK, Script.ARABIC, Script.HEBREW})


class Stemmer(Protocol):
    """The part of a Snowball stemmer that is used."""

    def stemWord(self, word: str) -> str: ...  # noqa: N802 - the library's name


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query.

    Attributes:
        text: as it was typed.
        alternatives: a posting holds the word when it has all terms of one alternative; most telling first.
    """

    text: str
    alternatives: tuple[tuple[str, ...], ...]

    @property
    def folded(self) -> str:
        return fold(self.text)


def term_key(term: str) -> bytes:
    """The 32-byte key whose nearest peers index `term`."""
    return hashlib.blake2b(b"peerkit-search-term\0" + term.encode(), digest_size=32).digest()


def term_id(term: str) -> bytes:
    """The first bytes of `term_key`, which stand for the term on the wire."""
    return term_key(term)[:TERM_ID_BYTES]


@lru_cache(maxsize=4096)
def script_of(char: str) -> Script:
    """The script of one letter or mark; digits and unknown ones are `OTHER`."""
    if char.isascii():
        return Script.LATIN if char.isalpha() else Script.OTHER
    name = unicodedata.name(char, "").replace("FULLWIDTH ", "").replace("HALFWIDTH ", "").split(" ")[0]
    if name in UNSPACED_NAMES:
        return Script.UNSPACED
    return Script[name] if name in Script.__members__ else Script.OTHER


def fold(text: str) -> str:
    """The form in which words are compared: NFKC, case folded, without diacritics where they are ornaments, with plain
    digits, at most 64 bytes.  Idempotent."""
    if text.isascii():
        return text.lower()[:MAX_TERM_BYTES]
    for _ in range(4):  # folding one character may make another foldable; three rounds settle all of Unicode 15
        folded = _fold_once(text)
        if folded == text:
            break
        text = folded
    return _cut(text)


def _fold_once(text: str) -> str:
    kept: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()):
        category = unicodedata.category(char)
        if category == "Nd":
            char = str(unicodedata.decimal(char))
        elif category == "Mn" and base and (script_of(base) in _BARE_SCRIPTS or (base == "е" and char == "\u0308")):
            continue
        if category != "Mn":
            base = char
        kept.append(char)
    return unicodedata.normalize("NFKC", "".join(kept).translate(_LETTERS))


def _cut(text: str) -> str:
    data = text.encode("utf-8", "ignore")
    return (
        text
        if len(data) <= MAX_TERM_BYTES
        else unicodedata.normalize("NFKC", data[:MAX_TERM_BYTES].decode("utf-8", "ignore"))
    )


def split_words(text: str) -> Iterator[tuple[str, bool]]:
    """The runs of letters, marks and digits of `text` with whether the run is of a script without spaces."""
    run: list[str] = []
    unspaced = False
    for char in unicodedata.normalize("NFKC", text[:MAX_TEXT_CHARS]):
        kind = unicodedata.category(char)[0]
        if kind not in "LMN":
            if run:
                yield "".join(run), unspaced
            run = []
            continue
        here = unspaced if kind == "M" and run else script_of(char) is Script.UNSPACED or (char == "ー")
        if run and here != unspaced:
            yield "".join(run), unspaced
            run = []
        unspaced = here
        run.append(char)
    if run:
        yield "".join(run), unspaced


def split_parts(word: str) -> list[str]:
    """`BigBuckBunny2008` → `Big Buck Bunny 2008`, `HTTPServer` → `HTTP Server`; one part when there is no seam."""
    kinds = [_kind(char) for char in word]
    parts: list[str] = []
    start = 0
    for i in range(1, len(word)):
        before, here = kinds[i - 1], kinds[i]
        if here == "M":  # a mark belongs to the letter before it
            kinds[i] = before
            continue
        after = kinds[i + 1] if i + 1 < len(word) else ""
        seam = (
            (before == "N") != (here == "N")
            or (before == "l" and here == "U")
            or (before == here == "U" and after == "l")
        )
        if seam:
            parts.append(word[start:i])
            start = i
    parts.append(word[start:])
    return parts


def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] in "NM":
        return category[0]
    return "U" if category in ("Lu", "Lt") else "l" if category == "Ll" else "o"


def _pairs(run: str) -> list[str]:
    folded = fold(run)
    return [folded] if len(folded) < 2 else [folded[i : i + 2] for i in range(len(folded) - 1)]


class Analyzer:
    """Makes terms with the stemmers of some languages.

    Args:
        languages: codes of `STEMMERS`; for each script the first is the main one, whose stems queries try first.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self._algorithms: dict[Script, list[str]] = {}
        for language in dict.fromkeys(languages):
            algorithm, script = STEMMERS[language]
            self._algorithms.setdefault(script, []).append(algorithm)
        self._stemmers: dict[Script, list[Stemmer]] = {}
        self._cache: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def forms(self, word: str) -> tuple[str, ...]:
        """The main stem, the folded word, the other stems; without repetition."""
        known = self._cache.get(word)
        if known is not None:
            return known
        folded = fold(word)
        lower = (
            folded
            if word.isascii()
            else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())[:MAX_TERM_BYTES]
        )
        script = next((s for char in lower if (s := script_of(char)) is not Script.OTHER), Script.OTHER)
        stems = [fold(stemmer.stemWord(lower)) for stemmer in self._stemmers_of(script)]
        forms = tuple(dict.fromkeys(form for form in (*stems[:1], folded, *stems[1:]) if len(form) > 1)) or (folded,)
        self._cache[word] = forms
        if len(self._cache) > _CACHED_WORDS:
            self._cache.popitem(last=False)
        return forms

    def _stemmers_of(self, script: Script) -> list[Stemmer]:
        stemmers = self._stemmers.get(script)
        if stemmers is None:
            import snowballstemmer  # forty modules: when the first word comes, and not while the node starts

            stemmers = [snowballstemmer.stemmer(algorithm) for algorithm in self._algorithms.get(script, ())]
            self._stemmers[script] = stemmers
        return stemmers

    def document_terms(self, name: str) -> tuple[str, ...]:
        """What a document of this name is indexed under: at most 24 terms, first the main stems of all its words in
        their order, then the folded words, then other stems, so that a cut costs the least telling ones."""
        rows: list[tuple[str, ...]] = []
        rest: list[tuple[str, ...]] = []
        for run, unspaced in split_words(name):
            if unspaced:
                rows += [(pair,) for pair in _pairs(run)]
                continue
            parts = split_parts(run)
            whole = all(len(fold(part)) > 1 for part in parts)  # as a query asks for them; else only telling ones
            for word in dict.fromkeys((run, *(part for part in parts if whole or len(fold(part)) > 2))):
                if len(folded := fold(word)) > 1:
                    (rest if folded in STOP_WORDS else rows).append(self.forms(word))
        rows = rows or rest
        by_rank = (row[rank] for rank in range(max(map(len, rows), default=0)) for row in rows if rank < len(row))
        return tuple(dict.fromkeys(by_rank))[:MAX_TERMS]

    def title_words(self, title: str) -> list[tuple[str, ...]]:
        """The forms of every word of a title, as often as it occurs; stop-words left out, compounds not parted."""
        found: list[tuple[str, ...]] = []
        for run, unspaced in split_words(title):
            if unspaced:
                found += [(pair,) for pair in _pairs(run)]
            elif len(folded := fold(run)) > 1 and folded not in STOP_WORDS:
                found.append(self.forms(run))
        return found

    def query_words(self, text: str) -> tuple[Word, ...]:
        """The words that all must match.  Stop-words are left out unless there is nothing else; empty when the text has
        no word of two characters."""
        words: dict[tuple[tuple[str, ...], ...], Word] = {}
        rest: dict[tuple[tuple[str, ...], ...], Word] = {}
        for run, unspaced in split_words(text):
            if unspaced:
                found = [Word(pair, ((pair,),)) for pair in _pairs(run)]
            elif len(fold(run)) < 2:
                continue
            else:
                found = [self._word(run)]
            for word in found:
                (rest if word.folded in STOP_WORDS else words).setdefault(word.alternatives, word)
        return tuple((words or rest).values())

    def _word(self, run: str) -> Word:
        alternatives: list[tuple[str, ...]] = [(form,) for form in self.forms(run)]
        parts = split_parts(run)
        if len(parts) > 1 and all(len(fold(part)) > 1 for part in parts):
            wanted = [part for part in parts if fold(part) not in STOP_WORDS] or parts
            alternatives.append(tuple(dict.fromkeys(self.forms(part)[0] for part in wanted))[:MAX_ALTERNATIVES])
        return Word(run, tuple(dict.fromkeys(alternatives))[:MAX_ALTERNATIVES])
