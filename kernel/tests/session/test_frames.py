"""Golden bytes: a change of these is a change of the protocol."""

from peerkit._session import frames
from peerkit._session.frames import Kind
from peerkit._session.hello import prologue
from peerkit._session.mux import Mux
from peerkit.limits import Budget


def test_frame_layouts() -> None:
    assert frames.reset(5, 3, 70_000, "no") == bytes.fromhex("13 00000005 0003 0000000000011170 0002") + b"no"
    assert frames.close(7, "bye") == bytes.fromhex("18 0007 0003") + b"bye"
    assert frames.record(b"abc") == bytes.fromhex("40 0003") + b"abc"
    assert frames.join() == bytes.fromhex("41 0000")
    assert frames.joined(3, "full") == bytes.fromhex("42 0006 0003") + b"full"


def test_stream_frames() -> None:
    mux = Mux(True, 65_536, 65_536, 8, 65_536, 65_536, 8, Budget("test", 0))
    stream = mux.open(Kind.REQUEST, 2)
    mux.write(stream, memoryview(b"hi"))
    assert b"".join(mux.frames_to_send(1000)) == bytes.fromhex("0c 01 0002 00000001 00000002") + b"hi"
    mux.write(stream, memoryview(b"!"), fin=True)
    assert b"".join(mux.frames_to_send(1000)) == bytes.fromhex("09 00000001 0000000000000002 00000001") + b"!"


def test_prologue_binds_version_network_and_pipe() -> None:
    assert prologue(b"n" * 32, b"tls") == b"peerkit\0\0\0\1\0\0\0\1" + b"n" * 32 + b"tls"
