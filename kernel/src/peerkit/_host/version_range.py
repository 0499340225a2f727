"""Whether a plugin's distribution fits this kernel, judged by its `Requires-Dist` before any import.  Pure."""

from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

KERNEL_DISTRIBUTION = "peerkit-kernel"


def misfit(distribution: str, version: str, requirements: Sequence[str], kernel_version: str) -> str | None:
    """One sentence when the distribution does not fit, else `None`."""
    ranges = []
    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) != KERNEL_DISTRIBUTION:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            ranges.append(requirement.specifier)
    if not ranges:
        return f"{distribution} {version} does not say which {KERNEL_DISTRIBUTION} it needs; its author must add it"
    for specifier in ranges:
        if not specifier.contains(kernel_version, prereleases=True):
            return (
                f"{distribution} {version} needs {KERNEL_DISTRIBUTION}{specifier}, and this is {kernel_version}; "
                f"install another version of {distribution}"
            )
    return None
