"""The key schedule, the nonce and what `AeadProtection` refuses."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from peerkit.errors import VerificationFailed
from peerkit.protection import MAX_PACKETS, AeadProtection
from peerkit.security import Aead

SECRET = bytes(range(32))
BOTH = pytest.mark.parametrize("aead", Aead)

# (packet 0 of "plain text" with header "head", empty packet 2^40 + 7, packet 0 again under the next key)
GOLDEN = {
    Aead.AES_256_GCM: (
        "ad459c019c00a5e90cf4b39a91f263a8a75a9c735c72066eadbc",
        "b3a8f1e2c215c39410d179b7b78ca7de",
        "76b93d05e8eacdbf2fde325033c5c8cbfc1eaac2133c780008dd",
    ),
    Aead.CHACHA20_POLY1305: (
        "e8565f59c7b53479c9a4069a72c096d734c718cf3a2923702dd0",
        "c1c8b6c343b924ff73840a05a9ddfdaa",
        "3e9f5ecd3a41d02683da8abab7ef7ff7aac9cd4b8078c45f8989",
    ),
}


@BOTH
def test_sealed_bytes_never_change(aead: Aead) -> None:
    protection = AeadProtection(SECRET, aead)
    first, far, next_key = (bytes.fromhex(text) for text in GOLDEN[aead])
    assert protection.seal(0, b"head", b"plain text") == first
    assert protection.seal(2**40 + 7, b"", b"") == far
    assert protection.next_generation().seal(0, b"head", b"plain text") == next_key


@BOTH
def test_key_schedule_is_hkdf_of_the_documented_labels(aead: Aead) -> None:
    """Against the library's own HKDF, not ours."""

    def derive(secret: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=info).derive(secret)

    cipher = AESGCM if aead is Aead.AES_256_GCM else ChaCha20Poly1305
    secret, protection = SECRET, AeadProtection(SECRET, aead)
    for _ in range(3):
        key = derive(secret, b"peerkit v1 key " + bytes([aead]))
        nonce = bytes(4) + (77).to_bytes(8, "big")
        assert protection.seal(77, b"h", b"p") == cipher(key).encrypt(nonce, b"p", b"h")
        secret, protection = derive(secret, b"peerkit v1 next"), protection.next_generation()


@BOTH
@given(counter=st.integers(0, 2**64 - 1), header=st.binary(max_size=40), plaintext=st.binary(max_size=300))
def test_opening_gives_what_was_sealed(aead: Aead, counter: int, header: bytes, plaintext: bytes) -> None:
    protection = AeadProtection(SECRET, aead)
    sealed = protection.seal(counter, header, memoryview(plaintext))
    assert len(sealed) == len(plaintext) + protection.overhead
    assert protection.open(counter, memoryview(header), memoryview(bytearray(sealed))) == plaintext


@BOTH
def test_forms_that_write_into_a_buffer_give_the_same_bytes(aead: Aead) -> None:
    protection = AeadProtection(SECRET, aead)
    plaintext = bytes(range(256)) * 256
    out = bytearray(len(plaintext) + 16 + 4)
    protection.seal_into(3, b"h", plaintext, memoryview(out)[4:])
    assert out[4:] == protection.seal(3, b"h", plaintext)
    opened = bytearray(len(plaintext))
    protection.open_into(3, b"h", memoryview(out)[4:], opened)
    assert opened == plaintext


@BOTH
def test_every_flipped_bit_is_refused(aead: Aead) -> None:
    protection = AeadProtection(SECRET, aead)
    sealed = protection.seal(5, b"head", b"plain text")
    for bit in range(len(sealed) * 8):
        forged = bytearray(sealed)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationFailed):
            protection.open(5, b"head", forged)
        with pytest.raises(VerificationFailed):
            protection.open_into(5, b"head", forged, bytearray(10))


@BOTH
def test_every_truncation_is_refused(aead: Aead) -> None:
    protection = AeadProtection(SECRET, aead)
    sealed = protection.seal(5, b"head", b"plain text")
    for length in range(len(sealed)):
        with pytest.raises(VerificationFailed):
            protection.open(5, b"head", sealed[:length])


@BOTH
def test_another_counter_header_key_or_cipher_is_refused(aead: Aead) -> None:
    protection = AeadProtection(SECRET, aead)
    sealed = protection.seal(5, b"head", b"plain text")
    other = Aead.CHACHA20_POLY1305 if aead is Aead.AES_256_GCM else Aead.AES_256_GCM
    for opener, counter, header in (
        (protection, 6, b"head"),
        (protection, 5, b"heaD"),
        (protection.next_generation(), 5, b"head"),
        (AeadProtection(bytes(32), aead), 5, b"head"),
        (AeadProtection(SECRET, other), 5, b"head"),
    ):
        with pytest.raises(VerificationFailed):
            opener.open(counter, header, sealed)


def test_max_packets_is_bounded_and_kept_by_the_next_generation() -> None:
    assert AeadProtection(SECRET, Aead.AES_256_GCM).max_packets == MAX_PACKETS
    assert AeadProtection(SECRET, Aead.AES_256_GCM, 1024).next_generation().max_packets == 1024
    for wrong in (0, -1, MAX_PACKETS + 1):
        with pytest.raises(ValueError):
            AeadProtection(SECRET, Aead.AES_256_GCM, wrong)


def test_secret_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError):
        AeadProtection(bytes(31), Aead.AES_256_GCM)


def test_text_form_does_not_show_the_key() -> None:
    assert repr(AeadProtection(SECRET, Aead.AES_256_GCM)) == "<AeadProtection AES_256_GCM>"
