"""Threads that the end of the process does not wait for."""

import asyncio
import subprocess
import sys
import threading

import pytest

from vosd.engine.daemon_threads import DaemonThreads


async def test_results_and_errors_come_back_and_threads_are_used_again():
    threads, loop = DaemonThreads(2, "names"), asyncio.get_running_loop()
    found = [await loop.run_in_executor(threads, threading.current_thread) for _ in range(20)]
    assert {(each.name, each.daemon) for each in found} <= {("names 1", True), ("names 2", True)}
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(threads, lambda: 1 / 0)
    assert await loop.run_in_executor(threads, max, 1, 2) == 2


async def test_no_more_than_so_many_run_and_one_that_was_cancelled_does_not_begin():
    threads, loop = DaemonThreads(2, "names"), asyncio.get_running_loop()
    go, begun = threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        go.wait(60)
        return number

    open_ones = [loop.run_in_executor(threads, work, number) for number in range(4)]
    open_ones[2].cancel()
    await asyncio.sleep(0)
    assert set(begun) <= {0, 1}
    go.set()
    assert await asyncio.gather(open_ones[0], open_ones[1], open_ones[3]) == [0, 1, 3]
    assert 2 not in begun


def test_a_process_ends_beside_a_thread_that_waits():
    program = (
        "import asyncio, threading\n"
        "from vosd.engine.daemon_threads import DaemonThreads\n"
        "async def run():\n"
        "    begun = threading.Event()\n"
        "    def wait():\n"
        "        begun.set()\n"
        "        threading.Event().wait()\n"
        "    asyncio.get_running_loop().run_in_executor(DaemonThreads(1, 'mute'), wait)\n"
        "    await asyncio.to_thread(begun.wait)\n"
        "asyncio.run(run())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
