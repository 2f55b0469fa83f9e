"""Checks of changes, in a process of their own that is kept: a large configuration takes seconds to be read once.

The switch has one for itself and every front, the API one for what the switch does not check. That of a switch with a
large configuration is a copy of its start, which has read all that the first check needs (ADR 203).
"""

import asyncio
import math
import pickle
import socket
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

import msgspec

from vosd.base.errors import VosError
from vosd.catalogue.asked_changes import question_of
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.stored import Wanted
from vosd.control.changes import CHECK_S, CheckChange
from vosd.control.server import CommandError
from vosd.daemon.start import Started
from vosd.obs import log
from vosd.processes.channel import received, send
from vosd.processes.child import Child, adopted, ended, started
from vosd.processes.forked import ForkedProcess, can_fork

IDLE_S: Final = 3_600.0
"""The process ends after so long without a check, and gives its memory back; the next check reads everything."""
READY_FROM: Final = 5_000
"""Objects of the database from which on the process of the switch is ready before the first check, and does not end."""
WAITING_MAX: Final = 4
"""Checks of fronts that wait for another one. Further fronts check by themselves, so that other commands have room."""
_PROCESS: Final = "vosd.wiring.check_process"


class CheckEndedError(VosError):
    """The process that checks changes was killed, or cannot be started; nothing was changed."""


class OtherConfigurationError(CommandError):
    """The configuration is not that of the switch."""


class ManyChecksError(CommandError):
    """As many checks of fronts wait as may; the front checks by itself."""

    code = "busy"


def forked_from(config: Path, start: list[Started]) -> ForkedProcess | None:
    """Return a copy of this process that goes on with the load of its start as that of its last check.

    None = the configuration is small, or its process has to read it by itself: the catalogue in force is another one,
    the database could not be read, or messages name a relative path, as fronts do not.

    ``start`` has the start alone. The copy takes it out: functions that were called before would keep all of it.
    """
    if not (_is_last_load(start[0]) and config.is_absolute() and can_fork()):
        return None

    def taken() -> tuple[Remembered, Wanted]:
        started = start.pop()
        assert started.wanted is not None
        return started.remembered, started.wanted

    def go_on(channel: socket.socket) -> None:
        log.open_anew()
        import_module(_PROCESS).go_on(channel, config, taken)

    try:
        return ForkedProcess(_PROCESS, go_on)
    except OSError:
        return None


def _is_last_load(started: Started) -> bool:
    """Return whether a start has read what a check would read, and that is much."""
    stored = started.loaded.stored
    is_large = sum(map(len, stored.objects.values())) >= READY_FROM
    return is_large and started.wanted is not None and stored.unread is None


class Checks:
    """The process, which checks one change after the other; it is started by the first one, or before it.

    A check goes on where its request is given up: the configuration that it reads is that of the next check.
    """

    def __init__(self, idle_s: float = IDLE_S, forked: ForkedProcess | None = None) -> None:
        """``forked`` is a process that has read the configuration; None = there is none."""
        self._idle_s = idle_s
        self._forked = forked
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        self._checking: asyncio.Task[bytes] | None = None
        """The check under way, also one whose request was given up."""
        self._ending: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None

    async def keep_ready(self, config: Path, objects: int) -> None:
        """Have the process ready for the first check, and stay, where the configuration has many objects.

        One that was not forked reads the configuration.
        """
        if objects < READY_FROM and self._forked is None:  # it may have had more when it was forked
            return
        self._idle_s = math.inf
        if self._forked is None:
            self._preparing = asyncio.create_task(self._prepare(config), name="first check")
            return
        with suppress(OSError):  # the first check starts another one
            self._child = await adopted(self._forked)

    async def check(self, config: Path, asked: ChangeCheck) -> CheckedObjects:
        """Check a configuration in each state of a change, and return the findings.

        Raises:
            ConfigError: it would not be valid, or the agent may not give such sources.
            CheckEndedError: it was not checked.
        """
        found: CheckedObjects | ConfigError
        found = pickle.loads(await self.answer(config, asked))  # noqa: S301 - from our own process
        if isinstance(found, ConfigError):
            raise found
        return found

    async def answer(self, config: Path, question: ChangeCheck | bytes) -> bytes:
        """Return the answer of the process: to bytes of ``catalogue.asked_changes`` bytes of it.

        Raises:
            CheckEndedError: it was not checked.
        """
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            try:
                if self._checking is not None:
                    await asyncio.wait({self._checking})
                self._checking = asyncio.create_task(self._asked(pickle.dumps((config, question))), name="check")
                return await asyncio.shield(self._checking)
            except (OSError, EOFError) as error:
                if isinstance(error, TimeoutError):
                    message = (
                        f"the check took over {CHECK_S:.0f} s, and nothing was changed: try again when less runs here"
                    )
                else:
                    message = (
                        f"the process that checks changes has ended ({error}), and nothing was changed: free memory"
                    )
                raise CheckEndedError(message) from error
            finally:
                if self._idle_s < math.inf:
                    self._ending = asyncio.create_task(self._end_when_idle(), name="idle check")

    async def close(self) -> None:
        """End the process."""
        for waiting in filter(None, (self._ending, self._preparing)):
            waiting.cancel()
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait({self._checking})
        await self._end()

    async def _asked(self, question: bytes) -> bytes:
        """Return the answer of the process, which is ended where there is none."""
        if self._child is not None and (self._child.process.returncode is not None or self._child.reader.at_eof()):
            await self._end()
        try:
            async with asyncio.timeout(CHECK_S):
                if self._child is None:
                    self._child = await started(_PROCESS)
                send(self._child.writer, question)
                return await received(self._child.reader)
        except BaseException:  # also where it is cancelled: the answer would be taken for that of the next question
            await self._end()
            raise

    async def _prepare(self, config: Path) -> None:
        now = ObjectsThen(0, (), ())
        with suppress(CheckEndedError):  # the first check starts it again
            await self.answer(config, question_of(ChangeCheck([now])))

    async def _end_when_idle(self) -> None:
        await asyncio.sleep(self._idle_s)
        async with self._turn:
            if self._checking is not None:
                await asyncio.wait({self._checking})
            await self._end()

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await ended(child, is_asked=False)


class ChecksForFronts:
    """Checks of the configuration of a switch that its fronts order. Questions and answers are not looked at."""

    def __init__(self, config: Path, checks: Checks) -> None:
        self._config = config.absolute()
        self._checks = checks
        self._under_way = 0

    async def keep_ready(self, objects: int) -> None:
        """Do what ``Checks.keep_ready`` says, for so many objects of the database."""
        await self._checks.keep_ready(self._config, objects)

    async def close(self) -> None:
        """End the process."""
        await self._checks.close()

    async def check(self, order: CheckChange) -> msgspec.Raw:
        """Return the findings.

        Raises:
            OtherConfigurationError: they are asked for another file.
            ManyChecksError: too many wait.
            CheckEndedError: it was not checked.
        """
        if not self._is_own(Path(order.configuration)):
            message = f"{order.configuration} is not the configuration of this switch, which is {self._config}"
            raise OtherConfigurationError(message)
        if self._under_way > WAITING_MAX:
            raise ManyChecksError(f"{WAITING_MAX} checks of changes wait already")
        self._under_way += 1
        try:
            return msgspec.Raw(await self._checks.answer(self._config, bytes(order.question)))
        finally:
            self._under_way -= 1

    def _is_own(self, path: Path) -> bool:
        try:
            return path.samefile(self._config)
        except OSError:
            return False
