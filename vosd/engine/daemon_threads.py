"""Threads for work that may wait long for others: a silent name server, a mail server that does not answer.

The interpreter waits at its exit for the threads of ``ThreadPoolExecutor``: a restart would take as long. It does not
wait for these, and what they do then is lost. Those of the loop, which write the journal, are to be waited for.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, ParamSpec, TypeVar

_Terms = ParamSpec("_Terms")
_Result = TypeVar("_Result")


class DaemonThreads(Executor):
    """Runs functions in at most so many threads, which are begun when they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._begun = 0
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = Semaphore(0)
        """Threads that wait for work."""

    def submit(
        self, function: Callable[_Terms, _Result], /, *terms: _Terms.args, **named: _Terms.kwargs
    ) -> Future[_Result]:
        """Run a function as soon as a thread is idle; called from one thread only."""
        future: Future[_Result] = Future()
        self._waiting.put((future, partial(function, *terms, **named)))
        if not self._idle.acquire(blocking=False) and self._begun < self._most:
            self._begun += 1
            Thread(target=self._work, name=f"{self._name} {self._begun}", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            future, call = self._waiting.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:  # noqa: BLE001  it is the result of the one who waits
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del future, call
            self._idle.release()
