"""A long transfer over UDP that crosses key updates: `python -m bench.key_updates GIB [MAX_PACKETS_PER_KEY]`.

The sender takes its next key after three quarters of what one may seal: of 2²³ packets of 1,400 bytes unless told,
which is 8 GiB.  In the run of all benchmarks a smaller file crosses as many with fewer packets for each key.  The
receiver opens with the key that the packet's phase asks for, or the transfer would not arrive.
"""

import json
import sys

from .process import numbers_of, serving
from .row import Row, floored, table
from .standstill import Standstill, watching
from .udp_ends import DATAGRAM_BYTES

MIB = 1 << 20
NBYTES = 128 * MIB
PACKETS_PER_KEY = 1 << 14
USED = 3 / 4  # of a key, before the next is taken
_ENDS = "-m", "bench.udp_ends"


def run(still: Standstill, quick: bool = False) -> list[Row]:
    return measure(still, NBYTES // 4 if quick else NBYTES, PACKETS_PER_KEY)


def measure(still: Standstill, nbytes: int, packets_per_key: int) -> list[Row]:
    settings = {"max_datagram_bytes": DATAGRAM_BYTES, "max_packets_per_key": packets_per_key}
    words = str(nbytes), "raised", json.dumps(settings)
    with serving(*_ENDS, "peerkit", "serve", "udp://127.0.0.1:0", *words) as address:
        numbers = numbers_of(*_ENDS, "peerkit", "send", address, *words, timeout_s=24 * 3_600)
    total, began_at, ended_at, *_, key_updates = numbers
    if total != nbytes:
        raise RuntimeError(f"{total:.0f} of {nbytes} bytes arrived")
    where = f"UDP stream, {nbytes // MIB:,} MiB, {packets_per_key:,} packets a key"
    least = int(nbytes / DATAGRAM_BYTES / (packets_per_key * USED))
    return [
        floored(Row(f"{where}: keys taken by the sender", "updates", (key_updates,)), least),
        Row(f"{where}: rate", "MB/s", (total / still.seconds(began_at, ended_at) / 1e6,)),
    ]


if __name__ == "__main__":
    with watching() as watched:
        size, packets = float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 1 << 23
        print(table(measure(watched, int(size * 1024) * MIB, packets)))
