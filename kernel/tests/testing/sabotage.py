"""Each check of a kind is proved by a plugin that is broken on purpose."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

from peerkit.testing import run

Bed = TypeVar("Bed")
Saboteurs = Mapping[str, Sequence[tuple[Bed, str]]]
"""Name of a check → what makes beds that must fail it, each with a pattern of the sentence."""


def assert_all_sabotaged(checks: Sequence[Callable[..., object]], saboteurs: Saboteurs[Bed]) -> None:
    assert {check.__name__ for check in checks} == set(saboteurs), "a check without a saboteur proves nothing"


def cases(saboteurs: Saboteurs[Bed]) -> list[ParameterSet]:
    """For `pytest.mark.parametrize("name, make, sentence")`."""
    return [
        pytest.param(name, make, sentence, id=f"{name}-{sentence[:30]}")
        for name, found in saboteurs.items()
        for make, sentence in found
    ]


def cases_of(tables: Mapping[str, Saboteurs[Bed]]) -> list[ParameterSet]:
    """The same of several tables, with the name of each in front."""
    return [
        pytest.param(name, *case.values, id=f"{name}-{case.id}")
        for name, table in tables.items()
        for case in cases(table)
    ]


def assert_passes(check: Callable[[Bed], Awaitable[None] | None], make: Callable[[], Bed]) -> None:
    async def main() -> None:
        if inspect.isawaitable(done := check(make())):
            await done

    run(main())


def assert_caught(
    checks: Sequence[Callable[[Bed], Awaitable[None] | None]], name: str, make: Callable[[], Bed], sentence: str
) -> None:
    """The check says what is wrong, under virtual time."""
    (check,) = (check for check in checks if check.__name__ == name)

    with pytest.raises(AssertionError, match=sentence):
        assert_passes(check, make)
