"""libtorrent's end of the transfer benchmark: `… seed WAY FILE` or `… fetch WAY TORRENT PORT FOLDER`.

`WAY` is `TCP` or `uTP`, the other is off.  In clear: its own encryption, which only hides the protocol, is off, and so
is every search for peers; there are no rate limits.  `seed` prints the port and the torrent file (the hashing is done
by then); `fetch` prints when it began to connect and when every piece was verified and given to the system.
"""

import sys
import time
from pathlib import Path

import libtorrent as lt

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "out_enc_policy": int(lt.enc_policy.pe_disabled),
    "in_enc_policy": int(lt.enc_policy.pe_disabled),
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0,
    # The manual's chapter on high performance: deep queues, large socket buffers, both cores hashing.
    "max_out_request_queue": 3000,
    "max_allowed_in_request_queue": 4000,
    "send_buffer_watermark": 8 * 1024 * 1024,
    "send_buffer_low_watermark": 1024 * 1024,
    "send_buffer_watermark_factor": 150,
    "max_queued_disk_bytes": 64 * 1024 * 1024,
    "hashing_threads": 2,
    "aio_threads": 4,
}
PIECE_BYTES = 1024 * 1024


def session(way: str) -> lt.session:
    ways = {
        f"enable_{side}_{kind.lower()}": kind == way for side in ("outgoing", "incoming") for kind in ("TCP", "uTP")
    }
    return lt.session({**SETTINGS, **ways})


def seed(way: str, file: Path) -> None:
    torrent = lt.create_torrent(lt.list_files(str(file)), PIECE_BYTES, lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, str(file.parent))
    path = file.with_name(file.name + ".torrent")
    path.write_bytes(lt.bencode(torrent.generate()))
    seeding = session(way)
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(str(path))
    parameters.save_path = str(file.parent)
    parameters.flags |= lt.torrent_flags.seed_mode
    parameters.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    seeding.add_torrent(parameters)
    print(seeding.listen_port(), path, flush=True)
    while True:
        time.sleep(3600)


def fetch(way: str, torrent: Path, port: int, folder: Path) -> tuple[float, float]:
    fetching = session(way)
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(str(torrent))
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    handle = fetching.add_torrent(parameters)
    while handle.status().state in (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data):
        time.sleep(0.005)
    began_at = time.monotonic()
    handle.connect_peer(("127.0.0.1", port))
    while not handle.status().is_seeding:
        time.sleep(0.005)
    return began_at, time.monotonic()


if __name__ == "__main__":
    if sys.argv[1] == "seed":
        seed(sys.argv[2], Path(sys.argv[3]))
    else:
        print(*fetch(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])), flush=True)
