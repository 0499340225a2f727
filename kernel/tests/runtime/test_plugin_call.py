import asyncio
import logging

import pytest

from peerkit._runtime.plugin_call import call_plugin, call_plugin_async, failure_text
from peerkit.errors import NotFound, PluginError
from peerkit.testing import run


def fail(error: BaseException) -> None:
    raise error


async def fail_async(error: BaseException) -> None:
    raise error


def test_result_and_arguments_pass() -> None:
    assert call_plugin("p", "here", divmod, 7, 2) == (3, 1)


def test_error_of_ours_passes_unchanged() -> None:
    error = NotFound("no such thing")
    with pytest.raises(NotFound) as caught:
        call_plugin("p", "here", fail, error)
    assert caught.value is error


def test_any_other_exception_becomes_a_plugin_error_that_tells_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "peerkit"), pytest.raises(PluginError) as caught:
        call_plugin("warehouse", "a timer", fail, OSError("/home/ann/secret"))
    assert "warehouse" in str(caught.value)
    assert "a timer" in str(caught.value)
    assert "/home/ann" not in str(caught.value)
    assert failure_text(caught.value) == "OSError: /home/ann/secret"
    (record,) = caplog.records
    assert "warehouse" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_end_of_the_process_is_not_stopped(error: BaseException) -> None:
    with pytest.raises(type(error)):
        call_plugin("p", "here", fail, error)


def test_async_forms_take_an_awaitable_or_what_makes_one() -> None:
    async def double(n: int) -> int:
        return 2 * n

    async def main() -> None:
        assert await call_plugin_async("p", "here", double(4)) == 8
        assert await call_plugin_async("p", "here", double, 4) == 8
        with pytest.raises(PluginError):
            await call_plugin_async("p", "here", fail_async, TimeoutError())

    run(main())


def test_cancelling_the_task_is_a_cancellation() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await call_plugin_async("p", "here", asyncio.sleep, 5)

    run(main())


def test_cancellation_that_nobody_asked_for_is_a_failure() -> None:
    async def main() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone.cancel()

        async def wait_for_it() -> None:
            await gone

        with pytest.raises(PluginError):
            await call_plugin_async("p", "here", wait_for_it)

    run(main())
