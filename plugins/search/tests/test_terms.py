"""Text to terms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_search.languages import STEMMERS
from peerkit_search.terms import (
    MAX_TERM_BYTES,
    MAX_TERMS,
    TERM_ID_BYTES,
    Analyzer,
    fold,
    split_parts,
    term_id,
    term_key,
)

EUROPE = Analyzer(("en", "de", "fr", "es", "ru", "ar", "el", "hi"))
TURKISH = Analyzer(("tr", "en"))


def matches(analyzer: Analyzer, name: str, query: str, asker: Analyzer | None = None) -> bool:
    """As an index peer decides it."""
    terms = set(analyzer.document_terms(name))
    words = (asker or analyzer).query_words(query)
    return bool(words) and all(any(set(a) <= terms for a in word.alternatives) for word in words)


FOUND = [
    # language, name, query
    ("en", "Running Shoes.jpg", "run shoe"),
    ("en", "The History of Rome.pdf", "history rome"),
    ("en", "introduction-to-algorithms_3rd_edition.pdf", "Algorithm introductions"),
    ("de", "Die Häuser der Straße.pdf", "HAUSER strasse"),
    ("de", "Die Häuser der Straße.pdf", "haus"),
    ("de", "Öffnungszeiten der Bibliothek.txt", "offnungszeiten bibliotheken"),
    ("fr", "Les Misérables - L'été à Paris.epub", "miserable été"),
    ("fr", "Nouvelles chansons françaises.mp3", "chanson francaise nouvelle"),
    ("es", "Canción de cuna, niños pequeños.ogg", "canciones nino"),
    ("es", "Don Quijote de la Mancha.txt", "quijote mancha"),
    ("ru", "Новые книги про ёлку.txt", "книга елка"),
    ("ru", "Война и мир.epub", "войны мира"),
    ("ar", "الكتاب العربي.pdf", "كتاب"),
    ("ar", "كِتَابٌ جديد ٢٠٢٤.pdf", "كتاب 2024"),
    ("el", "Η Οδύσσεια του Ομήρου.pdf", "οδυσσεια"),
    ("hi", "हिन्दी किताबें.pdf", "किताबें"),
    ("zh", "中华人民共和国地图.png", "共和国 地图"),
    ("zh", "北京大学.pdf", "北京"),
    ("ja", "東京の地図.png", "東京 地図"),
    ("ja", "カタカナ入門.pdf", "ｶﾀｶﾅ"),
    ("ko", "한국어 사전.txt", "한국어"),
    ("th", "ภาษาไทย.pdf", "ภาษา"),
    ("names", "BigBuckBunny.mp4", "big bunny"),
    ("names", "BigBuckBunny.mp4", "bigbuckbunny"),
    ("names", "big_buck_bunny.mp4", "BigBuckBunny"),
    ("names", "HTTPServer2024.tar.gz", "http server 2024"),
    ("names", "asyncio/base_events.py", "base events py"),
    ("names", "Show.S01E02.mkv", "s01e02"),
    ("names", "song.mp3", "MP3"),
    ("names", "My iPhone.jpg", "phone"),
    ("names", "ＦＵＬＬＷＩＤＴＨ.txt", "fullwidth"),
    ("names", "ﬁnance ①.txt", "finance"),
    ("names", "The Who.txt", "the who"),
]

MISSED = [
    ("song.mp4", "mp3"),
    ("Show.S01E02.mkv", "s01e03"),
    ("Running Shoes.jpg", "running boots"),
    ("北京大学.pdf", "南京"),
    ("йод.txt", "иод"),  # й is a letter, not и with an ornament
    ("ががく.txt", "かかく"),  # voicing marks are letters too
]


@pytest.mark.parametrize(("language", "name", "query"), FOUND)
def test_a_word_is_found_in_another_form(language: str, name: str, query: str) -> None:
    assert matches(EUROPE, name, query), (language, EUROPE.document_terms(name), EUROPE.query_words(query))


@pytest.mark.parametrize(("name", "query"), MISSED)
def test_other_words_are_not_found(name: str, query: str) -> None:
    assert not matches(EUROPE, name, query)


@pytest.mark.parametrize(
    ("name", "query"), [("İstanbul kitapları.pdf", "istanbul kitap"), ("Işık ve gölge.txt", "isik golge")]
)
def test_turkish_words_are_stemmed_and_dotless_i_is_i(name: str, query: str) -> None:
    assert matches(TURKISH, name, query)


def test_nodes_of_different_languages_meet_on_the_word_itself() -> None:
    french, english = Analyzer(("fr",)), Analyzer(("en",))
    for name in ("Les chansons nouvelles.mp3", "running libraries.txt"):
        for word in name.split(".")[0].split():
            assert matches(french, name, word, asker=english) or word == "Les"
            assert matches(english, name, word, asker=french) or word == "Les"


def test_stop_words_are_dropped_on_both_sides_alike() -> None:
    assert matches(Analyzer(("en",)), "Die Hard.mp4", "die hard", asker=Analyzer(("de",)))
    assert set(EUROPE.document_terms("the and of der des les")) == set(EUROPE.document_terms("der the les des and of"))
    assert "the" not in EUROPE.document_terms("the end")


def test_query_words_begin_with_the_main_stem() -> None:
    (word,) = EUROPE.query_words("Running")
    assert word.alternatives == (("run",), ("running",))


def test_the_cut_to_24_terms_keeps_every_main_stem() -> None:
    name = " ".join(f"{chr(97 + i)}{chr(97 + i)}{chr(98 + i)}ings" for i in range(20))
    terms = EUROPE.document_terms(name)
    assert len(terms) == MAX_TERMS
    assert all(word.alternatives[0][0] in terms for word in EUROPE.query_words(name))


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("HTTPServer2024", ["HTTP", "Server", "2024"]),
        ("camelCase", ["camel", "Case"]),
        ("plain", ["plain"]),
        ("ÉcoleÀParis", ["École", "À", "Paris"]),
        ("x86", ["x", "86"]),
    ],
)
def test_words_part_at_their_seams(word: str, parts: list[str]) -> None:
    assert split_parts(word) == parts


def test_a_term_id_begins_its_key() -> None:
    # Golden: every node must place a word at the same key.
    assert term_key("bunny").hex() == "df9ce6427a5f736ccace350d1e614ba649650fd0613ebc8115066648b4a6e0af"
    assert term_key("bunny").startswith(term_id("bunny"))
    assert len(term_id("bunny")) == TERM_ID_BYTES


@pytest.mark.parametrize("language", STEMMERS)
def test_every_language_has_its_stemmer(language: str) -> None:
    assert Analyzer((language,)).forms("abc")


@given(st.text(max_size=80))
def test_folding_is_idempotent_and_bounded(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert len(folded.encode("utf-8", "surrogatepass")) <= MAX_TERM_BYTES


@given(st.text(max_size=300))
def test_any_text_gives_bounded_terms(text: str) -> None:
    terms = EUROPE.document_terms(text)
    assert len(terms) <= MAX_TERMS
    assert len(set(terms)) == len(terms)
    assert all(0 < len(term.encode()) <= MAX_TERM_BYTES for term in terms)


@given(
    st.lists(
        st.sampled_from(["Häuser", "running", "книга", "東京", "BigBuck", "mp3", "l'été", "2024", "_x_", "the"]),
        min_size=1,
        max_size=4,
    )
)
def test_a_name_is_found_by_its_own_words(words: list[str]) -> None:
    name = "_".join(words)
    asked = EUROPE.query_words(" ".join(words))
    assert not asked or matches(EUROPE, name, " ".join(words))
