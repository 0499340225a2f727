import pytest

from peerkit._host.version_range import misfit


@pytest.mark.parametrize(
    "requirements",
    [
        ["peerkit-kernel>=0.1,<0.2"],
        ["peerkit_kernel >= 0.1"],
        ["pydantic", "Peerkit.Kernel==0.1.*"],
        ["peerkit-kernel<0.1; python_version < '3'", "peerkit-kernel"],
        ["peerkit-kernel>=9; extra == 'future'", "peerkit-kernel"],
        ["not a requirement ((", "peerkit-kernel"],
    ],
)
def test_fitting_range_is_accepted(requirements: list[str]) -> None:
    assert misfit("peerkit-x", "1.0", requirements, "0.1.5") is None


def test_range_that_leaves_us_out_says_what_is_needed_and_what_is_here() -> None:
    problem = misfit("peerkit-x", "1.0", ["peerkit-kernel>=0.2,<0.3"], "0.1.5")
    assert problem is not None
    assert "peerkit-x 1.0 needs peerkit-kernel<0.3,>=0.2, and this is 0.1.5" in problem


def test_prerelease_of_the_kernel_counts() -> None:
    assert misfit("peerkit-x", "1.0", ["peerkit-kernel>=0.1,<0.3"], "0.2.0.dev3") is None


def test_distribution_without_a_range_is_refused() -> None:
    problem = misfit("peerkit-x", "1.0", ["pydantic"], "0.1.0")
    assert problem is not None
    assert "does not say which peerkit-kernel it needs" in problem
