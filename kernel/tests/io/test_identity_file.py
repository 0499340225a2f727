"""The identity file: made once, never overwritten, readable by its owner only; anything else is one clear sentence."""

import os
import random
import threading
from pathlib import Path

import nacl.pwhash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit._io import identity_file
from peerkit._io.identity_file import decode, encode, load, load_or_create, passphrase_from
from peerkit.errors import StorageError

SEED = bytes(range(32))
FAST = (nacl.pwhash.argon2id.OPSLIMIT_MIN, nacl.pwhash.argon2id.MEMLIMIT_MIN)  # tests need no hard passphrase


@pytest.fixture(autouse=True)
def fast_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_file.encode, "__defaults__", (None, *FAST))


def test_an_identity_is_made_once_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    first = load_or_create(path, random.Random(1))
    assert load_or_create(path, random.Random(2)).peer_id == first.peer_id
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["identity"]


def test_a_passphrase_protects_it(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    made = load_or_create(path, random.Random(1), b"correct horse")
    assert load(path, b"correct horse").peer_id == made.peer_id
    with pytest.raises(StorageError, match="passphrase is wrong"):
        load(path, b"battery staple")
    with pytest.raises(StorageError, match="locked with a passphrase; set PEERKIT_PASSPHRASE_FILE"):
        load(path)
    assert random.Random(1).randbytes(32) not in path.read_bytes()


def test_the_content_of_both_kinds_is_fixed() -> None:
    """Golden bytes: a later program must read what this one wrote."""
    assert encode(SEED, random.Random(1)) == (
        b"peerkit identity 1 plain\naaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp3l6luoi\n"
    )
    assert encode(SEED, random.Random(1), b"correct horse", *FAST) == (
        b"peerkit identity 1 argon2id 1 8192 6wywkisklc3zdx3k6hmdaptbzu\n"
        b"ys5ynq6ryqtrapbujrayt2zpdz55lvd6irx45qqb3w4t6u3expjnbryu5wcvdx2qgqgukvblmkbjuhm5svnnndew5jwsjq3cbtkajirnw3an7zh76xya\n"
    )


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"garbage", bytes(100), b"\xff" * 50, b"peerkit identity 2 plain\nabc\n", b"x" * 5_000]
)
def test_a_damaged_file_is_refused_and_never_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "identity"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"identity .* is damaged"):
        load_or_create(path, random.Random(1))
    assert path.read_bytes() == content


def test_no_flipped_bit_makes_another_identity() -> None:
    data = encode(SEED, random.Random(1))
    for position in range(len(data) - 1):  # the last line end means nothing
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            try:
                found = decode(bytes(flipped))
            except ValueError:
                continue
            assert found == SEED  # upper case, and the two bits of the last letter that carry nothing


def test_what_cannot_be_read_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    with pytest.raises(StorageError, match="cannot read the identity"):
        load_or_create(tmp_path / "identity", random.Random(1))
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="cannot read the identity"):
        load_or_create(tmp_path / "dangling", random.Random(1))
    with pytest.raises(StorageError, match="cannot write"):
        load_or_create(tmp_path / "missing" / "identity", random.Random(1))


def test_a_mode_that_is_too_open_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    load_or_create(path, random.Random(1))
    path.chmod(0o644)
    load(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_that_create_at_once_get_the_same_identity(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    found: list[object] = []

    def create(number: int) -> None:
        together.wait()
        found.append(load_or_create(tmp_path / "identity", random.Random(number)).peer_id)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_hostile_parameters_cost_neither_hours_nor_memory() -> None:
    for operations, memory in (("99999999", "8192"), ("1", str(1 << 40)), ("-1", "8192"), ("1", "0"), ("1_0", "9e9")):
        header = f"peerkit identity 1 argon2id {operations} {memory} {'a' * 26}\n".encode()
        with pytest.raises(ValueError, match="damaged"):
            decode(header + b"a" * 116 + b"\n", b"passphrase")


def test_the_passphrase_comes_from_a_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(b"from the file\r\n")
    both = {"PEERKIT_PASSPHRASE": "from the environment", "PEERKIT_PASSPHRASE_FILE": str(file)}
    assert passphrase_from(both) == b"from the file"
    del both["PEERKIT_PASSPHRASE_FILE"]
    assert passphrase_from(both) == b"from the environment"
    assert passphrase_from({}) is None
    assert passphrase_from({"PEERKIT_PASSPHRASE": ""}) is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"x" * 5_000])
def test_a_passphrase_file_that_is_no_use_is_one_clear_sentence(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "passphrase"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StorageError, match="passphrase file"):
        passphrase_from({"PEERKIT_PASSPHRASE_FILE": str(file)})


@given(st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=20)))
def test_no_content_raises_anything_but_value_error(data: bytes, passphrase: bytes | None) -> None:
    for candidate in (data, b"peerkit identity 1 plain\n" + data, b"peerkit identity 1 argon2id 1 8192 " + data):
        with pytest.raises(ValueError, match=r"damaged|locked|cannot be unlocked"):
            decode(candidate, passphrase)


@given(st.binary(min_size=32, max_size=32))
def test_every_seed_comes_back(seed: bytes) -> None:
    assert decode(encode(seed, random.Random(1))) == seed
