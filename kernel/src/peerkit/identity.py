"""Who a node is: an Ed25519 key.  The public half is the `PeerId`; the seed derives every other long-term secret.

Not here: the identity file (`_io/identity_file.py`).  Signatures are always over
`"peerkit/<purpose>/v1\\0" ‖ network id ‖ body`, so that one made for one purpose or network is worth nothing elsewhere.
"""

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property, lru_cache, total_ordering

import nacl.bindings
import nacl.exceptions

from . import text_form
from .errors import VerificationFailed

PEER_ID_BYTES = 32
SIGNATURE_BYTES = 64


@total_ordering
@dataclass(frozen=True, slots=True)
class PeerId:
    """A peer's name: its 32-byte Ed25519 public key.  `str()` gives the checked text form that begins with `p`."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PEER_ID_BYTES:
            raise ValueError(f"a peer id has {PEER_ID_BYTES} bytes, not {len(self.raw)}")

    @classmethod
    def parse(cls, text: str) -> "PeerId":
        """From the text form.  Raises `UsageError` as `text_form.decode` does."""
        return cls(text_form.decode(text_form.Kind.PEER, text))

    @property
    def short(self) -> str:
        """Ten characters for logs and tables; not unique."""
        return str(self)[:10]

    def __str__(self) -> str:
        return _text(self.raw)

    def __repr__(self) -> str:
        return f"<PeerId {self.short}>"

    def __lt__(self, other: "PeerId") -> bool:
        return self.raw < other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


@lru_cache(4096)  # every dial, log line and policy asks; one costs 8 µs
def _text(raw: bytes) -> str:
    return text_form.encode(text_form.Kind.PEER, raw)


def hkdf(secret: bytes, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """HKDF-SHA-256 (RFC 5869); `length` up to 8,160 bytes."""
    prk = hmac.digest(salt or bytes(32), secret, hashlib.sha256)
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes((counter,)), hashlib.sha256)
        out += block
        counter += 1
    return out[:length]


def signed_bytes(purpose: str, network_id: bytes, body: bytes) -> bytes:
    """What a signature covers."""
    return b"peerkit/" + purpose.encode("ascii") + b"/v1\0" + network_id + body


class Identity:
    """The secret of one node.

    Args:
        seed: 32 random bytes.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError(f"a seed has 32 bytes, not {len(seed)}")
        self._seed = seed

    def __repr__(self) -> str:
        return f"<Identity {self.peer_id.short}>"

    @cached_property
    def _keys(self) -> tuple[bytes, bytes]:
        public, secret = nacl.bindings.crypto_sign_seed_keypair(self._seed)
        return public, secret

    @cached_property
    def peer_id(self) -> PeerId:
        return PeerId(self._keys[0])

    def sign(self, purpose: str, network_id: bytes, body: bytes) -> bytes:
        """64 bytes of Ed25519 over `signed_bytes(purpose, network_id, body)`."""
        return nacl.bindings.crypto_sign(signed_bytes(purpose, network_id, body), self._keys[1])[:SIGNATURE_BYTES]

    def derive_secret(self, label: bytes, length: int = 32) -> bytes:
        """A secret that only this identity has and that changes with `label`."""
        return hkdf(self._seed, b"peerkit v1 " + label, length)


def verify(peer: PeerId, purpose: str, network_id: bytes, body: bytes, signature: bytes) -> None:
    """Check one signature.

    Raises:
        VerificationFailed: it is not `peer`'s signature over these bytes for this purpose and network.
    """
    if len(signature) != SIGNATURE_BYTES or not _is_signed(
        peer.raw, signature + signed_bytes(purpose, network_id, body)
    ):
        raise VerificationFailed(f"the {purpose} signature is not {peer.short}'s")


_known_good: OrderedDict[bytes, None] = OrderedDict()
MAX_KNOWN_GOOD = 16_384  # ≈ 2 MiB; a flood of valid signatures pushes out old ones, and costs its maker as much


def _is_signed(public: bytes, signed: bytes) -> bool:
    """Whether `public` signed.  A signature is checked once: records and certificates of the same few hundred peers
    come with every session and answer, and a check costs 44 µs, this memory 1 µs.  Its key is a hash of all of it."""
    digest = hashlib.blake2b(public + signed, digest_size=32).digest()
    if digest in _known_good:
        return True
    try:
        nacl.bindings.crypto_sign_open(signed, public)
    except nacl.exceptions.BadSignatureError:
        return False
    _known_good[digest] = None
    if len(_known_good) > MAX_KNOWN_GOOD:
        _known_good.popitem(last=False)
    return True
