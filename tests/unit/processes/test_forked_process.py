"""A copy of a process has its memory and a channel, nothing else, and ends with it."""

import subprocess
import sys
import textwrap

from vosd.processes.entry import search_path

PREAMBLE = """
import asyncio, os, signal, socket, sys, threading
from pathlib import Path
from vosd.processes.channel import received, send, message
from vosd.processes.child import adopted, ended
from vosd.processes.forked import ForkedProcess, can_fork
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own: that of the tests has threads."""
    return subprocess.run(
        (sys.executable, "-c", PREAMBLE + textwrap.dedent(script)),
        env={"PYTHONPATH": search_path()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def printed(script: str) -> list[str]:
    """Return the lines that a script prints, which has to succeed."""
    done = run(script)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_copy_has_the_memory_of_the_process_and_its_channel_alone() -> None:
    assert printed("""
        known, pipe = ["read before"], os.pipe()
        def run(channel):
            leads_to = {int(fd): os.readlink(Path("/proc/self/fd", fd)) for fd in os.listdir("/proc/self/fd")
                        if os.path.exists(Path("/proc/self/fd", fd))}
            del leads_to[2], leads_to[channel.fileno()]
            name = Path("/proc/self/cmdline").read_text().rstrip(chr(0))
            print("not on the output of the other")
            channel.sendall(message(repr((known, {*pipe} <= leads_to.keys(), {*leads_to.values()}, name)).encode()))
        forked = ForkedProcess("a name", run)
        async def talk():
            child = await adopted(forked)
            print((await received(child.reader)).decode(), await child.process.wait(), child.process.returncode)
        asyncio.run(talk())
    """) == ["(['read before'], True, {'/dev/null'}, 'a name') 0 0"]


def test_an_object_of_the_process_has_no_file_that_its_copy_opens() -> None:
    assert printed("""
        pipe, memory = os.pipe(), socket.socket()
        def run(channel):
            opened = [os.open("/proc/self/stat", os.O_RDONLY) for _ in range(20)]
            os.write(pipe[1], b"a line")
            shared = {*pipe, memory.fileno(), channel.fileno()} & {*opened}
            memory.close()
            channel.sendall(message(repr(shared).encode()))
        forked = ForkedProcess("a name", run)
        async def talk():
            child = await adopted(forked)
            print((await received(child.reader)).decode(), await child.process.wait())
        asyncio.run(talk())
    """) == ["set() 0"]


def test_a_copy_ends_with_the_channel_and_by_a_signal() -> None:
    assert printed("""
        def run(channel):
            while channel.recv(1):
                pass
        asked, killed = ForkedProcess("a", run), ForkedProcess("b", run)
        async def end():
            for forked, is_asked in ((asked, True), (killed, False)):
                child = await adopted(forked)
                await ended(child, is_asked=is_asked)
                child.process.kill()
                print(child.process.returncode)
        asyncio.run(end())
    """) == ["0", "-9"]


def test_the_end_of_a_copy_is_noted_where_the_kernel_keeps_no_status_of_it() -> None:
    assert printed("""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as a supervisor may leave it to its programs
        def run(channel):
            while channel.recv(1):
                pass
        forked, waited, polled = (ForkedProcess(name, run) for name in "abc")
        async def end():
            child = await adopted(forked)
            faults = []
            asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
            child.process.kill()
            async with asyncio.timeout(30):
                print(await ended(child, is_asked=False), child.process.returncode, faults)
        asyncio.run(end())
        waited.channel.close()
        print(waited.wait(), waited.poll())
        polled.kill()
        print(polled.wait(), polled.poll())
    """) == ["True 0 []", "0 0", "0 0"]


def test_a_fault_of_a_copy_is_on_standard_error_and_leaves_the_process_alone() -> None:
    done = run("""
        def run(channel):
            raise ValueError("a fault")
        forked = ForkedProcess("a", run)
        print("at the end", forked.wait(), forked.poll())
    """)
    assert (done.returncode, done.stdout) == (0, "at the end 1 1\n")
    assert done.stderr.endswith("ValueError: a fault\n")


def test_no_copy_is_made_beside_other_threads() -> None:
    assert printed("""
        is_over = threading.Event()
        print(can_fork())
        thread = threading.Thread(target=is_over.wait)
        thread.start()
        print(can_fork())
        is_over.set()
    """) == ["True", "False"]


def test_the_address_space_that_a_process_for_checks_begins_with_does_not_count_against_its_limit() -> None:
    assert printed("""
        import mmap, resource
        from vosd.wiring import check_process
        check_process.MEMORY_MAX = 200 << 20
        rates = mmap.mmap(-1, 300 << 20)
        def run(channel):
            check_process._serve(channel, None)
            kept = bytearray(100 << 20)
            try:
                bytearray(200 << 20)
            except MemoryError:
                channel.sendall(message(b"some room"))
        forked = ForkedProcess("a", run)
        async def talk():
            child = await adopted(forked)
            child.writer.write_eof()
            print((await received(child.reader)).decode())
        asyncio.run(talk())
    """) == ["some room"]
