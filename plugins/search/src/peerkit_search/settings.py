"""`[plugins.search]`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from peerkit.plugin import Settings

from .languages import STEMMERS


def _known(languages: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [language for language in languages if language not in STEMMERS]
    if unknown:
        raise ValueError(f"no stemmer for {', '.join(map(repr, unknown))}; there are {', '.join(STEMMERS)}")
    return languages


class SearchSettings(Settings):
    """Attributes:
    languages: whose word stems names are indexed under and queries try, your main language first; words themselves
        are always indexed, in every language.
    publish: whether our listed content is made searchable for others.
    replicas: index peers that keep each word of a document, 1..20.
    capacity: postings that this node keeps for others, about 2 KB of memory each.
    republish_s: seconds after which our postings are signed and published anew; they live for 24 h.
    publish_bytes_per_s: most bytes of postings sent in a second.
    timeout_s: longest time a search of the network takes.
    """

    languages: Annotated[tuple[str, ...], AfterValidator(_known)] = ("en", "de", "fr", "es", "ru", "ar", "el", "hi")
    publish: bool = True
    replicas: int = Field(20, ge=1, le=20)
    capacity: int = Field(32_768, ge=64, le=10_000_000)
    republish_s: float = Field(11 * 3600.0, ge=60, le=20 * 3600)
    publish_bytes_per_s: int = Field(2 * 1024 * 1024, ge=10_000)
    timeout_s: float = Field(10.0, ge=0.5, le=120)
