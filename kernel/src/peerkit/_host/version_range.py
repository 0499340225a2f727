"""Whether a plugin's distribution fits this kernel, judged by its `Requires-Dist` before any import.  Pure."""

from collections.abc import Sequence
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

KERNEL_DISTRIBUTION = "peerkit-kernel"


def misfit(distribution: str, version: str, requirements: Sequence[str], kernel_version: str) -> str | None:
    """One sentence when the distribution does not fit, else `None`."""
    ranges = [kernels for line in requirements if (kernels := _kernel_range(line)) is not None]
    if not ranges:
        return f"{distribution} {version} does not say which {KERNEL_DISTRIBUTION} it needs; its author must add it"
    for specifier in ranges:
        if not specifier.contains(kernel_version, prereleases=True):
            return (
                f"{distribution} {version} needs {KERNEL_DISTRIBUTION}{specifier}, and this is {kernel_version}; "
                f"install another version of {distribution}"
            )
    return None


@lru_cache(maxsize=256)
def _kernel_range(line: str) -> SpecifierSet | None:
    """Which kernels a line of requirements wants, if it is of the kernel at all.  Kept: a process may hold a thousand
    nodes, and reading a line takes 0.1 ms."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    if canonicalize_name(requirement.name) != KERNEL_DISTRIBUTION:
        return None
    is_meant = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    return requirement.specifier if is_meant else None
