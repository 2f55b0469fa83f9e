"""Lines of the log where its destination takes none: they wait, are lost and counted, and nothing fails or waits."""

import fcntl
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TextIO

import pytest
import structlog
from doubles.full_disk import fill, mounted
from doubles.kept_log import log_as_it_was
from e2e.conditions import eventually

from vosd.obs import log, log_output
from vosd.obs.log_output import UNREAD, LogOutput

PATIENCE_S = 60.0
PAGE = 4_096


class Reports:
    """Keeps what was reported, in order."""

    def __init__(self) -> None:
        self.all: list[object] = []

    def not_written(self, error: str) -> None:
        self.all.append(error)

    def lines_lost(self, count: int) -> None:
        self.all.append(count)

    def written(self) -> None:
        self.all.append("well")


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_S", "UNREAD_S", "CALM_S", "FINISH_S"):
        monkeypatch.setattr(log_output, name, 0.02)


class Pipe:
    """A pipe of one page, and the stream of its writing end."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PAGE)
        self.stream: TextIO = os.fdopen(writer, "w")

    def read(self) -> bytes:
        """Return what is in the pipe."""
        os.set_blocking(self.reader, False)
        found = b""
        with suppress(BlockingIOError):
            while part := os.read(self.reader, 1 << 16):
                found += part
        return found

    def close(self) -> None:
        """Close the reading end, if it is open, and the stream."""
        with suppress(OSError):
            os.close(self.reader)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def numbered(count: int) -> list[bytes]:
    return [b"%07d\n" % number for number in range(count)]


def test_a_pipe_that_nothing_reads_is_not_waited_for(pipe, reports):
    output = LogOutput(pipe.stream, reports)
    for line in numbered(PAGE):  # eight times as many bytes as it takes
        output.write(line)
    eventually(lambda: reports.all == [UNREAD], "what was awaited")
    assert output.lost == 0

    found = b""
    while len(found) < 8 * PAGE:
        found += pipe.read()
    assert found.splitlines(keepends=True) == numbered(PAGE), "each line once, in order"
    eventually(lambda: reports.all == [UNREAD, "well"], "what was awaited")


def test_a_pipe_is_not_waited_for_where_it_cannot_be_opened_again(pipe, reports, monkeypatch):
    opened = os.open

    def refused(path, *more, **named):
        if str(path).startswith("/proc/self/fd/"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "open", refused)
    monkeypatch.setattr(log_output, "UNREAD_S", 0)
    monkeypatch.setattr(log_output, "Thread", NoThread)
    output = LogOutput(pipe.stream, reports)
    assert os.get_blocking(pipe.stream.fileno())
    output.write(b"".join(numbered(PAGE)))
    assert reports.all == [UNREAD]
    assert pipe.read() == b"".join(numbered(PAGE // 8))
    output = LogOutput(pipe.stream, reports)
    output.write(100 * (99 * b"x" + b"\n"))
    assert pipe.read() == PAGE // 100 * (99 * b"x" + b"\n"), "other processes may write their lines now"


def test_a_write_to_a_socket_has_whole_lines_as_other_processes_write_between(reports):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # each write is a message
    with ours, theirs, os.fdopen(os.dup(ours.fileno()), "w") as stream:
        output = LogOutput(stream, reports)
        lines = 100 * (699 * b"x" + b"\n") + 10_000 * b"y" + b"\n" + 100_000 * b"z" + b"\n"
        output.write(lines)
        messages: list[bytes] = []
        while len(b"".join(messages)) < len(lines):
            messages.append(theirs.recv(1 << 20))
    assert b"".join(messages) == lines
    assert [message[-1:] for message in messages if b"z" not in message] == 3 * [b"\n"]
    assert [message.count(b"z") for message in messages if b"z" in message] == [1 << 15] * 3 + [100_000 % (1 << 15)]


def test_a_socket_that_is_filled_by_others_at_the_same_moment_is_not_waited_for(reports, monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs, os.fdopen(os.dup(ours.fileno()), "w") as stream:
        output = LogOutput(stream, reports)
        with suppress(BlockingIOError):
            while True:
                ours.send(bytes(PAGE), socket.MSG_DONTWAIT)
        monkeypatch.setattr(log_output, "Thread", NoThread)
        with monkeypatch.context() as patched:
            patched.setattr(LogOutput, "_has_room", lambda *_: True)  # as it was a moment ago
            writing = Thread(target=output.write, args=(b"a line\n",), daemon=True)
            writing.start()
            writing.join(PATIENCE_S)
            assert not writing.is_alive()
        assert os.get_blocking(ours.fileno()), "others who share the socket wait as before"
        theirs.setblocking(False)
        found = b""
        while not found.endswith(b"a line\n"):
            output.finish()
            found = theirs.recv(1 << 20)


def test_others_who_share_the_pipe_wait_as_before(pipe, reports):
    LogOutput(pipe.stream, reports).write(b"a line\n")
    assert os.get_blocking(pipe.stream.fileno())


def test_lines_beyond_the_memory_are_lost_counted_and_named_in_their_place(pipe, reports, monkeypatch):
    monkeypatch.setattr(log_output, "WAITING_BYTES_MAX", PAGE)
    output = LogOutput(pipe.stream, reports)
    for line in numbered(1_100):
        output.write(line)
    assert output.lost == 1_100 - 2 * PAGE // 8
    assert reports.all == [UNREAD]
    found = b""
    while len(found) < 2 * PAGE:
        found += pipe.read()
    assert found.splitlines(keepends=True) == numbered(2 * PAGE // 8)
    eventually(lambda: reports.all == [UNREAD, output.lost, "well"], "what was awaited")
    output.write(b"later\n")
    eventually(lambda: pipe.read() == b"later\n", "what was awaited")


def test_a_line_that_was_begun_is_not_lost_where_many_are_written_at_once(pipe, reports, monkeypatch):
    monkeypatch.setattr(log_output, "WAITING_BYTES_MAX", PAGE)
    monkeypatch.setattr(log_output, "Thread", NoThread)
    output = LogOutput(pipe.stream, reports)
    line = b"x" * 99 + b"\n"
    output.write(100 * line)
    assert pipe.read() == (100 * line)[:PAGE]
    waiting = line[PAGE % 100 :] + (PAGE - 4) // 100 * line
    assert output.lost == 100 - (PAGE + len(waiting)) // 100
    output.finish()
    assert pipe.read() == waiting
    assert reports.all == [UNREAD, output.lost]


def test_a_gap_that_cannot_be_named_yet_does_not_end_the_alarm(pipe, monkeypatch):
    monkeypatch.setattr(log_output, "WAITING_BYTES_MAX", PAGE)
    monkeypatch.setattr(log_output, "CALM_S", 0)
    monkeypatch.setattr(log_output, "Thread", NoThread)
    with logging_to(pipe.stream):
        pipe.stream.write("-" * PAGE)
        pipe.stream.flush()
        structlog.get_logger().error("something", text="x" * PAGE)
        structlog.get_logger().error("something")
        assert [each.event for each in log.events.taken()] == ["log_not_written"]
        assert log.lines_lost() == 1


def test_a_reader_that_has_ended_is_reported_at_once_and_the_end_does_not_wait(pipe, reports, monkeypatch):
    monkeypatch.setattr(log_output, "FINISH_S", PATIENCE_S)
    output = LogOutput(pipe.stream, reports)
    os.close(pipe.reader)
    output.write(b"a line\n")
    assert reports.all == ["Broken pipe"]
    output.write(b"a line\n")
    began = time.monotonic()
    output.finish()
    assert time.monotonic() - began < PATIENCE_S / 2
    assert reports.all == ["Broken pipe"]


def test_a_full_disk_is_reported_and_its_lines_are_written_when_there_is_room(tmp_path, reports):
    with mounted(tmp_path / "disk", "64k") as disk, (disk / "log").open("a") as stream:
        output = LogOutput(stream, reports)
        fill(disk)
        output.write(b"".join(numbered(2_000)))  # it takes a part
        assert reports.all == ["No space left on device"]
        (disk / "ballast").unlink()
        eventually(lambda: reports.all == ["No space left on device", "well"], "what was awaited")
        assert (disk / "log").read_bytes().splitlines(keepends=True) == numbered(2_000)


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_stream_that_is_closed_or_missing_is_reported(is_closed, reports):
    stream = io.StringIO()
    stream.close()
    output = LogOutput(stream, reports) if is_closed else LogOutput(Path("/dev/null").open(), reports)  # noqa: SIM115
    output.write(b"a line\n")
    assert len(reports.all) == 1


def test_the_end_waits_for_a_program_that_reads(pipe, reports, monkeypatch):
    monkeypatch.setattr(log_output, "FINISH_S", PATIENCE_S)
    monkeypatch.setattr(log_output, "RETRY_S", PATIENCE_S)
    monkeypatch.setattr(log_output, "Thread", NoThread)
    output, found = LogOutput(pipe.stream, reports), bytearray()
    output.write(b"".join(numbered(PAGE)))

    def read() -> None:
        while len(found) < 8 * PAGE:
            found.extend(os.read(pipe.reader, PAGE))

    reader = Thread(target=read, daemon=True)
    reader.start()
    output.finish()
    reader.join(PATIENCE_S)
    assert found == b"".join(numbered(PAGE))


@pytest.fixture(params=["pipe", "socket"])
def unread(request: pytest.FixtureRequest) -> Iterator[TextIO]:
    """A stream that nothing reads."""
    if request.param == "pipe":
        pipe = request.getfixturevalue("pipe")
        yield pipe.stream
        return
    ours, theirs = socket.socketpair()
    with ours, theirs, os.fdopen(os.dup(ours.fileno()), "w") as stream:
        yield stream


def test_the_end_does_not_wait_for_a_program_that_does_not_read_while_a_thread_does(unread, reports):
    output = LogOutput(unread, reports)
    output.write(b"".join(numbered(1 << 17)))  # a thread waits for room from now on
    for _ in range(10):
        output.finish()
    assert output.lost == 0


PROGRAM_THAT_LOGS = """
import structlog
from vosd.obs import log

log.configure("info")
for number in range(1_000):
    structlog.get_logger().info("something", number=number)
"""


def test_a_program_whose_log_is_not_read_ends_by_itself(pipe):
    with subprocess.Popen((sys.executable, "-c", PROGRAM_THAT_LOGS), stderr=pipe.stream) as program:
        try:
            assert program.wait(PATIENCE_S) == 0
        finally:
            program.kill()
    assert pipe.read().startswith(b'{"number":0,')


class NoThread:
    """A machine on which no thread can be started."""

    def __init__(self, **_named: object) -> None:
        pass

    def start(self) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)


def test_lines_are_tried_again_where_no_thread_can_be_started(pipe, reports, monkeypatch):
    monkeypatch.setattr(log_output, "Thread", NoThread)
    output = LogOutput(pipe.stream, reports)
    output.write(b"".join(numbered(PAGE // 8 + 1)))
    assert pipe.read() == b"".join(numbered(PAGE // 8))
    output.write(b"next\n")
    assert pipe.read() == numbered(PAGE // 8 + 1)[-1] + b"next\n"


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    with log_as_it_was():
        log.configure("error", stream)
        log.events.taken()
        yield
        log.events.taken()


def test_the_log_raises_and_ends_its_own_alarm_and_says_at_any_level_how_many_lines_are_missing(pipe, monkeypatch):
    monkeypatch.setattr(log_output, "WAITING_BYTES_MAX", PAGE)
    with logging_to(pipe.stream):
        logger, noted = structlog.get_logger(), []
        for number in range(200):
            logger.error("something", number=number)
        lost = log.lines_lost()
        assert lost > 0
        read = b""

        def is_over() -> bool:
            nonlocal read
            read += pipe.read()
            noted.extend(each.event for each in log.events.taken())
            return noted == ["log_not_written", "log_written"]

        eventually(is_over, "the alarm raised and ended")
        lines = [json.loads(line) for line in read.splitlines()]
        numbers = [line["number"] for line in lines if line["event"] == "something"]
        assert numbers == list(range(len(numbers)))
        gap = lines[-1]
        assert (gap["event"], gap["level"], gap["lines"]) == ("log_lines_lost", "error", lost)
        assert len(numbers) + lost >= 200
