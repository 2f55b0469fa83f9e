"""Life of the daemon: start the steps in order, take calls until a stop is requested, drain, stop in reverse order.

There is one exit path: a failed start and a requested stop both go through ``_stop``.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

from vosd.daemon.systemd import Notifier, Watchdog
from vosd.engine.background import end
from vosd.obs.events import log as _log


def note_reloads() -> Callable[[], bool]:
    """Note SIGHUP until ``signals_handled``, where it would end the process; return what says whether it came."""
    came: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: came.append(number))
    return lambda: bool(came)


@contextmanager
def signals_handled(*, reload: Callable[[], None], stop: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have the running loop call ``reload`` on SIGHUP and ``stop`` on SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    for ending in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ending, stop, ending)
    try:
        yield
    finally:
        for received in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(received)


class Reloads:
    """Loads again when it is asked to; what it is asked meanwhile, however often, is one more load behind that one."""

    def __init__(self, load: Callable[[], Awaitable[None]]) -> None:
        self._load = load
        self._is_asked = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Load again, from the running loop: at once, or when the load that goes on has ended."""
        self._is_asked = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                await self._load()
        finally:
            self._task = None


class DaemonState(Enum):
    """State of the daemon; it only moves forward."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class StartStep(NamedTuple):
    """One part of the daemon: how it is started and stopped.

    ``stop`` is called only after a successful start: a ``start`` that fails cleans up itself.
    """

    name: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]


class Lifecycle:
    """Runs the steps; ``drain`` runs after the last accepted call and before the first step is stopped.

    Where a start fails or a stop is requested meanwhile, ``leave`` runs in its place.
    """

    def __init__(
        self,
        steps: Sequence[StartStep],
        drain: Callable[[signal.Signals], Awaitable[None]],
        leave: Callable[[], Awaitable[None]],
        notifier: Notifier,
        watchdog: Watchdog,
    ) -> None:
        self.state = DaemonState.STARTING
        self._steps = steps
        self._drain = drain
        self._leave = leave
        self._notifier = notifier
        self._watchdog = watchdog
        self._started: list[StartStep] = []
        self._stop_asked = asyncio.Event()
        self._received = signal.SIGINT
        self.lasted_ms: dict[str, int] = {}
        """Duration of the start of each step."""

    def ask_to_stop(self, received: signal.Signals) -> None:
        """Let ``run`` end; repeated calls change nothing."""
        if not self._stop_asked.is_set():
            self._received = received
        self._stop_asked.set()  # before the log has it: nothing may come between a stop and its request
        _log.info("stop_requested", signal=received.name, state=self.state.value)

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Start, wait for a stop request, stop; ``when_ready`` is called after all steps have started.

        Raises:
            VosError: a step did not start; the started ones are stopped again.
        """
        self._watchdog.start()
        try:
            if await self._start():
                self.state = DaemonState.RUNNING
                when_ready()
                await self._stop_asked.wait()
                self.state = DaemonState.DRAINING
                await self._drain(self._received)
        finally:
            await self._stop()
            self.state = DaemonState.STOPPED
            self._watchdog.stop()
            self._notifier.close()

    async def _start(self) -> bool:
        """Start every step, unless a stop is requested meanwhile; return whether all have started."""
        starting = asyncio.create_task(self._start_in_order())
        stop_asked = asyncio.ensure_future(self._stop_asked.wait())
        await asyncio.wait({starting, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
        stop_asked.cancel()
        if not starting.done():
            await end([starting])  # an attempt to connect to the database that has just failed swallows a cancellation
        if starting.cancelled():
            return False
        starting.result()
        return True

    async def _start_in_order(self) -> None:
        for step in self._steps:
            began = time.monotonic()
            with self._notifier.extending(f"starting {step.name}"):
                await step.start()
            self.lasted_ms[step.name] = round(1_000 * (time.monotonic() - began))
            self._started.append(step)

    async def _stop(self) -> None:
        """Stop the started steps, the last first; a failed stop does not prevent the others."""
        failures = []
        stops = [(step.name, step.stop) for step in reversed(self._started)]
        if self.state is DaemonState.STARTING:
            stops.insert(0, ("calls", self._leave))
        for part, stop in stops:
            try:
                await stop()
            except Exception as error:  # noqa: BLE001  the remaining steps hold money and must be stopped too
                _log.exception("stop_step_failed", part=part)
                failures.append(error)
        if failures:
            raise failures[0]
