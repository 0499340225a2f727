"""The identity file: one seed, for its owner only, optionally under a passphrase.

    peerkit identity 1 plain
    <base32 of seed(32) ‖ check(4)>

    peerkit identity 1 argon2id <operations> <memory bytes> <base32 of salt(16)>
    <base32 of nonce(24) ‖ secretbox(seed)>

check = BLAKE2b("peerkit-identity" ‖ seed)[:4].  The passphrase comes from a file or the environment, so that services
can start alone.  A file that cannot be read is never overwritten: with it the node would lose its name.
Blocking; Argon2id takes about half a second and 256 MiB on purpose.
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import nacl.exceptions
import nacl.pwhash
import nacl.secret

from ..clock import Rng
from ..errors import StorageError
from ..identity import Identity
from .atomic_file import create_atomic
from .system_error import reason

MAX_FILE_BYTES = 1_024
MAX_PASSPHRASE_BYTES = 4_096
_HEADER = "peerkit identity 1 "

OPERATIONS = nacl.pwhash.argon2id.OPSLIMIT_MODERATE  # libsodium's choice for keys on disk
MEMORY_BYTES = nacl.pwhash.argon2id.MEMLIMIT_MODERATE
MAX_OPERATIONS = 64  # a damaged or hostile file must not make us compute for hours
MAX_MEMORY_BYTES = 1 << 30  # or take all memory

PASSPHRASE_VARIABLE = "PEERKIT_PASSPHRASE"
PASSPHRASE_FILE_VARIABLE = "PEERKIT_PASSPHRASE_FILE"


def load_or_create(path: Path, rng: Rng, passphrase: bytes | None = None) -> Identity:
    """The identity kept at `path`; a new one when there is no file.

    Raises:
        StorageError: as `load`, or a new file could not be written.
    """
    if not os.path.lexists(path):
        seed = rng.randbytes(32)
        try:
            create_atomic(path, encode(seed, rng, passphrase), 0o600)
            return Identity(seed)
        except FileExistsError:
            pass  # another process was faster; its identity counts
    return load(path, passphrase)


def load(path: Path, passphrase: bytes | None = None) -> Identity:
    """Read an identity file; tightens its mode to 0600.

    Raises:
        StorageError: unreadable, damaged, locked with a passphrase that is missing or wrong; one sentence says which.
    """
    try:
        with open(path, "rb") as file:
            if os.name != "nt" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                os.fchmod(file.fileno(), 0o600)
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise StorageError(f"cannot read the identity {path}: {reason(exc)}") from exc
    try:
        return Identity(decode(data, passphrase))
    except ValueError as exc:
        raise StorageError(f"the identity {path} {exc}") from exc


def passphrase_from(environment: Mapping[str, str]) -> bytes | None:
    """The passphrase that `PEERKIT_PASSPHRASE`, or the file named by `PEERKIT_PASSPHRASE_FILE`, holds (without the line
    end); `None` when neither is set.

    Raises:
        StorageError: the file cannot be read, is empty or too long.
    """
    name = environment.get(PASSPHRASE_FILE_VARIABLE)
    if not name:
        text = environment.get(PASSPHRASE_VARIABLE)
        return text.encode("utf-8", "surrogateescape") if text else None
    try:
        with open(name, "rb") as file:
            passphrase = file.read(MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n")
    except OSError as exc:
        raise StorageError(f"cannot read the passphrase file {name}: {reason(exc)}") from exc
    if not 0 < len(passphrase) <= MAX_PASSPHRASE_BYTES:
        raise StorageError(f"the passphrase file {name} must hold 1 to {MAX_PASSPHRASE_BYTES} bytes")
    return passphrase


def encode(
    seed: bytes,
    rng: Rng,
    passphrase: bytes | None = None,
    operations: int = OPERATIONS,
    memory_bytes: int = MEMORY_BYTES,
) -> bytes:
    """The content of the file."""
    if passphrase is None:
        return f"{_HEADER}plain\n{_base32(seed + _check(seed))}\n".encode("ascii")
    salt = rng.randbytes(nacl.pwhash.argon2id.SALTBYTES)
    box = nacl.secret.SecretBox(_key(passphrase, salt, operations, memory_bytes))
    sealed = bytes(box.encrypt(seed, rng.randbytes(box.NONCE_SIZE)))
    return f"{_HEADER}argon2id {operations} {memory_bytes} {_base32(salt)}\n{_base32(sealed)}\n".encode("ascii")


def decode(data: bytes, passphrase: bytes | None = None) -> bytes:
    """The seed in a file's content.  Raises `ValueError` with the rest of a sentence that begins "the identity"."""
    if len(data) > MAX_FILE_BYTES:
        raise ValueError("is damaged: it is too long; restore it from a copy, or move it away to start as a new peer")
    try:
        header, body, *rest = data.decode("ascii").split("\n")
        if not header.startswith(_HEADER):
            raise ValueError("unknown header")
        if any(rest):
            raise ValueError("something follows")
        kind, *parameters = header.removeprefix(_HEADER).split(" ")
        content = _from_base32(body)
        if kind == "plain" and not parameters:
            seed, check = content[:32], content[32:]
            if len(seed) != 32 or check != _check(seed):
                raise ValueError("wrong check")
            return seed
        if kind != "argon2id" or len(parameters) != 3 or len(content) != 24 + 16 + 32:
            raise ValueError("unknown kind")
        operations, memory_bytes, salt = int(parameters[0]), int(parameters[1]), _from_base32(parameters[2])
        if not (1 <= operations <= MAX_OPERATIONS and 8_192 <= memory_bytes <= MAX_MEMORY_BYTES and len(salt) == 16):
            raise ValueError("parameters out of range")
    except ValueError as exc:  # also of decoding, base32 and int
        raise ValueError("is damaged; restore it from a copy, or move it away to start as a new peer") from exc
    if passphrase is None:
        raise ValueError(
            f"is locked with a passphrase; set {PASSPHRASE_FILE_VARIABLE} to a file that holds it,"
            f" or {PASSPHRASE_VARIABLE} to the passphrase"
        )
    box = nacl.secret.SecretBox(_key(passphrase, salt, operations, memory_bytes))
    try:
        return box.decrypt(content)
    except nacl.exceptions.CryptoError:
        raise ValueError("cannot be unlocked: the passphrase is wrong, or the file is damaged") from None


def _key(passphrase: bytes, salt: bytes, operations: int, memory_bytes: int) -> bytes:
    try:
        return nacl.pwhash.argon2id.kdf(nacl.secret.SecretBox.KEY_SIZE, passphrase, salt, operations, memory_bytes)
    except nacl.exceptions.CryptoError as exc:
        raise ValueError("cannot be unlocked: there is not enough memory") from exc


def _check(seed: bytes) -> bytes:
    return hashlib.blake2b(b"peerkit-identity" + seed).digest()[:4]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").lower().rstrip("=")


def _from_base32(text: str) -> bytes:
    padded = text.upper() + "=" * (-len(text) % 8)
    try:
        return base64.b32decode(padded)
    except binascii.Error as exc:
        raise ValueError("not base32") from exc
