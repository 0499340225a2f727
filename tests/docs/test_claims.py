"""What `docs/claims.md` names as proof is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROOFS = sorted(set(re.findall(r"`((?:kernel|plugins|tests)/[^`]+)`", (ROOT / "docs/claims.md").read_text("utf-8"))))


def test_the_claims_name_proofs() -> None:
    assert len(PROOFS) > 20


@pytest.mark.parametrize("proof", PROOFS)
def test_a_named_proof_exists(proof: str) -> None:
    path, _, name = proof.partition("::")
    assert (ROOT / path).exists()
    if name:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8")
