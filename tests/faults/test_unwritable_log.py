"""The log cannot be written: nothing else ends, stops or waits for that, and the operator is told by other ways."""

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from doubles.full_disk import fill, mounted
from doubles.unwritable_log import log_to, no_streams
from e2e.conditions import eventually

from .conftest import CONFIGURATION, SQLITE_URL

FULL = "/dev/full"
PIPE_BYTES = 4_096
WAITING_BYTES = 8_192


class LogPipe:
    """A named pipe as the log, of the smallest size, and its reading end."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self.reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.text = b""

    def read(self) -> bytes:
        """Return what was read so far."""
        with suppress(BlockingIOError):
            while part := os.read(self.reader, 1 << 16):
                self.text += part
        return self.text

    def close(self) -> None:
        """End the reader, if it has not ended."""
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


@pytest.fixture
def log_pipe(tmp_path: Path) -> Iterator[LogPipe]:
    pipe = LogPipe(tmp_path / "log.pipe")
    yield pipe
    pipe.close()


def alarms(scene) -> dict[str, str]:
    """Return the alarms that hold, with their texts."""
    return {alarm["alarm"]: alarm["text"] for alarm in scene.daemon.ask("alarms")}


def stopped(scene) -> int:
    """Send SIGTERM, and return the exit code."""
    scene.daemon.signal(signal.SIGTERM)
    return scene.daemon.wait()


@pytest.mark.mariadb
def test_the_database_goes_and_comes_back_after_the_reader_of_the_log_has_ended(stage, server, log_pipe):
    url = server.create_database("unread")
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, url), prepare=partial(log_to, log_pipe.path))
    scene.answered(4)
    log_pipe.close()
    scene.daemon.succeed("gateway", "block", "carrier", "--for", "1h")  # a line
    eventually(lambda: "Broken pipe" in alarms(scene).get("log_not_written", ""), "the alarm")

    server.stop()
    for call in scene.customer.answered[:2]:
        scene.customer.hang_up(call)
    eventually(lambda: "database_away" in alarms(scene), "the database missed")
    server.start()

    eventually(lambda: len(scene.records()) == 2, "both calls booked")
    eventually(lambda: "database_away" not in alarms(scene), "all parts have it back")
    scene.daemon.succeed("gateway", "unblock", "carrier")
    scene.daemon.succeed("reload")
    scene.daemon.succeed("hangup", "--account", "acme", "--yes")
    eventually(lambda: len(scene.records()) == 4, "the others booked")
    scene.daemon.succeed("ledger", "verify")
    assert stopped(scene) == 0


def test_commands_and_the_stop_work_while_the_disk_of_the_log_is_full(stage, tmp_path):
    with mounted(tmp_path / "disk", "1m") as disk:
        log = disk / "vosd.log"
        scene = stage(prepare=partial(log_to, str(log)))
        fill(disk)
        blocks = count(1)

        def is_full() -> bool:
            scene.daemon.succeed("gateway", "block", "carrier", "--for", f"{next(blocks)}h")
            return "No space left" in alarms(scene).get("log_not_written", "")

        eventually(is_full, "the alarm, once the rest of the last block is full", looks=100)
        scene.daemon.succeed("reload")
        scene.daemon.succeed("gateway", "unblock", "carrier")
        (disk / "ballast").unlink()

        def events() -> list[str]:
            whole, _, _ = log.read_text().rpartition("\n")
            return [json.loads(line)["event"] for line in whole.splitlines()]

        eventually(lambda: "log_not_written" in events(), "lines written when there is room")
        assert events().count("override_set") == next(blocks) - 1, "none is lost"
        eventually(lambda: "log_not_written" not in alarms(scene), "the end of the alarm")
        assert scene.daemon.ask("status")["log_lines_lost"] == 0

        fill(disk)
        scene.daemon.succeed("gateway", "block", "carrier", "--for", "1h")
        assert stopped(scene) == 0


def test_a_switch_starts_takes_calls_and_stops_where_no_output_can_be_written(stage):
    scene = stage(prepare=partial(log_to, FULL, also_output=True))
    eventually(lambda: "No space left" in alarms(scene).get("log_not_written", ""), "the alarm")
    scene.answered(2)
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    eventually(lambda: len(scene.records()) == 2, "both calls booked")
    assert stopped(scene) == 0


def test_a_switch_starts_takes_calls_and_stops_without_standard_streams(stage):
    scene = stage(prepare=no_streams)
    eventually(lambda: "log_not_written" in alarms(scene), "the alarm")
    places = [str(Path(f"/proc/{scene.daemon.pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
    assert places == ["/dev/null"] * 3, "no other file gets what is written to standard error"
    scene.answered(1)
    scene.customer.hang_up(scene.customer.answered[0])
    eventually(lambda: len(scene.records()) == 1, "the call booked")
    assert stopped(scene) == 0


def test_calls_do_not_wait_for_a_program_that_does_not_read_the_log(stage, log_pipe):
    scene = stage(prepare=partial(log_to, log_pipe.path, waiting_bytes=WAITING_BYTES))
    scene.answered(60)
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    eventually(lambda: len(scene.records()) == 60, "every call booked")

    def lost() -> int:
        scene.daemon.succeed("gateway", "block", "carrier", "--for", "1h")  # a line
        return scene.daemon.ask("status")["log_lines_lost"]

    eventually(lost, "lines that are lost are counted")
    eventually(lambda: "does not read" in alarms(scene).get("log_not_written", ""), "the alarm")

    eventually(lambda: b"log_lines_lost" in log_pipe.read(), "the gap in the log")
    lines = [json.loads(line) for line in log_pipe.text.split(b"\n")[:-1]]
    gap = next(line for line in lines if line["event"] == "log_lines_lost")
    assert gap["lines"] > 0
    eventually(lambda: (log_pipe.read(), "log_not_written" not in alarms(scene))[1], "the end of the alarm")
    assert stopped(scene) == 0


def test_the_switch_stops_while_the_pipe_of_the_log_is_full(stage, log_pipe):
    scene = stage(prepare=partial(log_to, log_pipe.path))
    scene.answered(1)

    def is_full() -> bool:
        scene.daemon.succeed("gateway", "block", "carrier", "--for", "1h")  # a line
        return "does not read" in alarms(scene).get("log_not_written", "")

    eventually(is_full, "the alarm of a log that is not read", looks=100)
    assert stopped(scene) == 0
    assert log_pipe.read(), "the reader is there until the end"
