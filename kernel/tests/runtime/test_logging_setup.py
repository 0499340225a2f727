import io
import json
import logging
from collections.abc import Iterator

import pytest

from peerkit._runtime.logging_setup import LOGGER, MAX_ALIKE, configure, node_logger, shorten
from peerkit.address import Address
from peerkit.identity import Identity

PEER = Identity(bytes(32)).peer_id


@pytest.fixture
def standard() -> Iterator[logging.Logger]:
    """The standard logger, as it was before."""
    logger = logging.getLogger(LOGGER)
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield logger
    logger.handlers, logger.level, logger.propagate = before


def written(as_json: bool = False, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(level, as_json, stream)
    return stream


@pytest.mark.usefixtures("standard")
def test_ids_are_shortened_wherever_they_stand() -> None:
    out = written()
    node_logger(PEER).bind(plugin="search").info(
        "told", peer=PEER, at=Address.parse(f"tcp://192.0.2.1:1/{PEER}"), text=f"from {PEER}!", raw=bytes(100)
    )
    line = out.getvalue()
    assert str(PEER) not in line
    assert line.count(PEER.short) == 4
    assert "tcp://192.0.2.1:1/" in line
    assert "(100 bytes)" in line


@pytest.mark.usefixtures("standard")
@pytest.mark.parametrize("key", ["psk", "passphrase", "export_secret", "token", "seed"])
def test_secrets_are_never_written(key: str) -> None:
    out = written()
    node_logger(PEER).info("oops", **{key: "hunter2"})
    assert "hunter2" not in out.getvalue()
    assert f"{key}=hidden" in out.getvalue()


@pytest.mark.usefixtures("standard")
def test_text_of_a_stranger_stays_on_its_line_and_is_bounded() -> None:
    out = written()
    node_logger(PEER).info("said", words="a\n12:00:00 error forged", long="x" * 100_000)
    assert out.getvalue().count("\n") == 1
    assert len(out.getvalue()) < 1_000


@pytest.mark.usefixtures("standard")
def test_json_lines_keep_fields_apart() -> None:
    out = written(as_json=True)
    try:
        raise KeyError("lost")
    except KeyError:
        node_logger(PEER).error("failed", n=3, exc_info=True)
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["n"], line["node"]) == ("failed", "error", 3, PEER.short)
    assert "KeyError" in line["traceback"]


@pytest.mark.usefixtures("standard")
def test_level_of_the_node_and_of_the_command_both_count() -> None:
    out = written(level="debug")
    node_logger(PEER, "warning").info("hidden by the node")
    node_logger(PEER, "debug").debug("shown")
    assert "hidden" not in out.getvalue()
    assert "shown" in out.getvalue()


def test_embedded_node_configures_nothing(standard: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    handlers = list(standard.handlers)
    with caplog.at_level(logging.INFO, LOGGER):
        node_logger(PEER).info("hello", n=1)
    assert standard.handlers == handlers
    assert [r.getMessage() for r in caplog.records] == [f"hello node={PEER.short} n=1"]


def test_numbers_stay_numbers() -> None:
    assert [shorten(v) for v in (1, 2.5, True, None)] == [1, 2.5, True, None]


@pytest.mark.usefixtures("standard")
@pytest.mark.parametrize("as_json", [False, True])
def test_what_repeats_is_counted_and_not_written(as_json: bool) -> None:
    out = written(as_json)
    log = logging.getLogger(LOGGER)

    def fail(at: float, level: int = logging.ERROR, **fields: object) -> None:
        log.handle(logging.makeLogRecord({"levelno": level, "created": at, **fields}))

    for n in range(100):
        fail(1_000.0 + n / 10, msg="plugin %s failed", args=("chat",))
        fail(1_000.0 + n / 10, msg=f"task failed n={n}", peerkit_event="task failed")
        fail(1_000.0 + n / 10, logging.INFO, msg="said")
    text = out.getvalue()
    assert text.count("plugin chat failed") == text.count("task failed") == MAX_ALIKE
    assert text.count("said") == 100
    fail(2_000.0, msg="plugin %s failed", args=("chat",))
    fail(2_000.0, msg="task failed n=7", peerkit_event="task failed")
    assert out.getvalue()[len(text) :].count("(and 80 more like it before)") == 2
