"""One error out of a task group's many: callers act on a sentence, not on a tree of exceptions."""

from peerkit.errors import PeerkitError


def single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of a group whose members are all `PeerkitError`; any other group as it is, for it holds a bug."""
    errors = _leaves(group)
    if all(isinstance(e, PeerkitError) for e in errors):
        return errors[0]
    return group


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
