"""How a check calls what it checks: a broken promise is an `AssertionError` that says which, whatever was raised."""

from collections.abc import Callable

from ..errors import PeerkitError


def refuses(call: Callable[[], object], error: type[PeerkitError], what: str) -> bool:
    """Whether the call raised `error`; `False` when it returned.

    Args:
        what: the deed, for the sentence: "opening a changed packet".

    Raises:
        AssertionError: it raised anything else, which the interface does not allow.
    """
    try:
        call()
    except error:
        return True
    except BaseException as exc:
        if not isinstance(exc, Exception):
            raise
        raise AssertionError(f"{what} may raise {error.__name__} and nothing else, but raised {exc!r}") from exc
    return False
