"""Process that checks changes: ``vosd.processes.entry vosd.wiring.check_process CHANNEL``, or a copy of a switch.

It ends with the process that has started it, the switch or the API.
"""

import gc
import pickle
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from vosd.catalogue.asked_changes import NOT_UNDERSTOOD, answer_of, asked_in
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.reader.collector import without_collector
from vosd.config.stored import Wanted
from vosd.processes.channel import LENGTH_BYTES, message
from vosd.processes.life import end_before_the_switch, give_way, live_as_long_as_the_switch
from vosd.processes.memory import give_back
from vosd.wiring.change_check import LastLoad, check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

MEMORY_MAX: Final = 4 << 30
"""Bytes of address space, beyond that at the beginning: a copy of a switch has all tables of rates in it."""
_NICENESS: Final = 5
"""That of the API, for which most checks are."""


def main() -> None:
    """Check changes until the channel is closed."""
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        _serve(channel, Checker())


def go_on(channel: socket.socket, config: Path, taken: Callable[[], tuple[Remembered, Wanted]]) -> None:
    """Do the same in a copy of a switch, with the load that it has started with as the last one.

    ``taken`` returns it, and what it has asked the database for; the rest of the start is freed then.
    """
    end_before_the_switch()
    give_way(_NICENESS)
    _serve(channel, Checker(config, LastLoad.of_start(*taken())))


def _serve(channel: socket.socket, checker: "Checker") -> None:
    live_as_long_as_the_switch()
    give_way(_NICENESS)
    most_bytes = _address_space() + MEMORY_MAX
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = _most_kb()
    with channel.makefile("rwb") as pipe:
        while length := pipe.read(LENGTH_BYTES):
            with without_collector():
                pipe.write(message(checker.answer(pipe.read(int.from_bytes(length, "big")))))
                pipe.flush()
                # Behind the answer: later collections need not look at the configuration that is kept.
                gc.collect()
                gc.freeze()
            if _most_kb() > most:
                give_back()
                most = _most_kb()


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _most_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Checker:
    """Checks one change after the other, and keeps the configuration that it has loaded last."""

    def __init__(self, config: Path | None = None, last: LastLoad | None = None) -> None:
        """``last`` is the last load of ``config``; None = there was none."""
        self._config = config
        self._last = last or LastLoad()

    def answer(self, question: bytes) -> bytes:
        """Return the findings, or the mistakes, in the form of the question."""
        config, asked = pickle.loads(question)  # noqa: S301 - from the process that started this one
        if not isinstance(asked, bytes):
            return pickle.dumps(self._found(config, asked))
        read = asked_in(asked)
        return NOT_UNDERSTOOD if read is None else answer_of(self._found(config, read))

    def _found(self, config: Path, asked: ChangeCheck) -> CheckedObjects | ConfigError:
        if config != self._config:
            self._config, self._last = config, LastLoad()
        try:
            return self._checked(config, asked)
        except MemoryError:
            self._last = LastLoad()
        except BaseException:
            self._last = LastLoad()
            raise
        gc.unfreeze()
        gc.collect()
        return self._checked(config, asked)

    def _checked(self, config: Path, asked: ChangeCheck) -> CheckedObjects | ConfigError:
        with closing(ConfiguredSwitch(config)) as switch:
            try:
                return check_here(switch, asked, self._last)
            except ConfigError as error:
                return error
