"""What the term rules know about languages: which stemmer reads which script, and the words that are never indexed.

The stop-words of all languages form one list that is the same on every node, whatever its settings: both sides must
drop the same words, or a query would ask for a word that no posting carries.  So only words of grammar are here, a few
for each language, and none shorter than two characters (those are never indexed anyway).
"""

from collections.abc import Mapping
from enum import Enum


class Script(Enum):
    """Writing systems that the term rules treat differently."""

    LATIN = "LATIN"
    CYRILLIC = "CYRILLIC"
    GREEK = "GREEK"
    ARABIC = "ARABIC"
    HEBREW = "HEBREW"
    DEVANAGARI = "DEVANAGARI"
    ARMENIAN = "ARMENIAN"
    TAMIL = "TAMIL"
    UNSPACED = "UNSPACED"  # Han, kana, Hangul, Thai, Lao, Khmer, Myanmar: indexed by pairs of characters
    OTHER = "OTHER"


# Scripts whose texts do not separate words by spaces (or, as Korean, glue particles to them).
UNSPACED_NAMES = frozenset(
    {
        "CJK",
        "HIRAGANA",
        "KATAKANA",
        "KATAKANA-HIRAGANA",
        "HANGUL",
        "BOPOMOFO",
        "THAI",
        "LAO",
        "KHMER",
        "MYANMAR",
        "IDEOGRAPHIC",
    }
)

# Language code → (name of its Snowball algorithm, the script it is written in).
STEMMERS: Mapping[str, tuple[str, Script]] = {
    "ar": ("arabic", Script.ARABIC),
    "ca": ("catalan", Script.LATIN),
    "da": ("danish", Script.LATIN),
    "de": ("german", Script.LATIN),
    "el": ("greek", Script.GREEK),
    "en": ("english", Script.LATIN),
    "es": ("spanish", Script.LATIN),
    "fi": ("finnish", Script.LATIN),
    "fr": ("french", Script.LATIN),
    "hi": ("hindi", Script.DEVANAGARI),
    "hu": ("hungarian", Script.LATIN),
    "hy": ("armenian", Script.ARMENIAN),
    "it": ("italian", Script.LATIN),
    "nl": ("dutch", Script.LATIN),
    "no": ("norwegian", Script.LATIN),
    "pt": ("portuguese", Script.LATIN),
    "ro": ("romanian", Script.LATIN),
    "ru": ("russian", Script.CYRILLIC),
    "sv": ("swedish", Script.LATIN),
    "ta": ("tamil", Script.TAMIL),
    "tr": ("turkish", Script.LATIN),
}

_STOP_WORDS = {
    "en": "an and are as at be by for from in is it of on or that the this to was with",
    "de": "am auf aus bei das dem den der des die ein eine einem einen einer im ist mit nach und von vom zu zum zur",
    "fr": "au aux avec ce ces dans de des du elle en est et la le les ou par pour que qui sur un une",
    "es": "al como con de del el en es la las lo los para por que se su un una",
    "it": "che con da dei del della delle di gli il in la le lo nel nella per una uno",
    "pt": "ao as com da das do dos em na nas no nos os para por um uma",
    "nl": "de een en het in met naar of op te van voor",
    "sv": "att av den det en ett for fran med och om pa som till",
    "tr": "bir bu da de icin ile ve",
    "ru": "без бы во для до за из или как ко ли на не но об от по при со то что это",
    "el": "απο για και με μια να ο η το τα την τησ του των στο στη στην σε",
    "ar": "الى ان او عن على في من مع هذا هذه ما لا",
    "hi": "और का की के को में से है",
}
STOP_WORDS = frozenset(word for words in _STOP_WORDS.values() for word in words.split())
"""In the folded form of `terms.fold`."""
