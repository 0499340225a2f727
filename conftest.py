"""Settings of every test of the repository."""

import os
import signal

import pytest
from hypothesis import settings

# Machines are shared and slow at times: how long an example takes says nothing about its rule.
settings.register_profile("peerkit", deadline=None, print_blob=True)
settings.load_profile("peerkit")

# A shell ignores Ctrl-C for what it runs in the background, and every process that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Reasons for which a test may be skipped in CI, a Linux machine with everything that the tests need.
LEGAL_SKIPS_IN_CI = ("needs Windows", "needs macOS")

_illegal_skips: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest first, so that all workers end together.
    items.sort(key=lambda item: item.get_closest_marker("simulation") is None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        _note_skip(report.nodeid, report.longrepr[2])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _note_skip(report.nodeid, report.longrepr[2])


def _note_skip(nodeid: str, message: str) -> None:
    reason = message.removeprefix("Skipped: ")
    if os.environ.get("CI") == "true" and not reason.startswith(LEGAL_SKIPS_IN_CI):
        _illegal_skips.append(f"{nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _illegal_skips and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _illegal_skips:
        terminalreporter.write_line(f"skipped, but must run in CI: {line}", red=True)
