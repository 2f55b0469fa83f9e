"""Event loops of commands and of short questions, which do not wait at their end for a silent name server.

The loop's own look-ups take its threads, which ``asyncio.run`` and the interpreter wait for: a command that had said
after five seconds that there is no answer ended half a minute later.
"""

import asyncio
import socket
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class CommandLoop(asyncio.SelectorEventLoop):
    """Looks names up in threads that nothing waits for."""

    async def getaddrinfo(self, *asked: Any, **terms: Any) -> Any:
        """Return the addresses of a host, as ``socket.getaddrinfo`` does."""
        found: Future[Any] = Future()
        found.set_running_or_notify_cancel()  # one who waits no more cannot cancel it: the thread has its answer later

        def look_up() -> None:
            try:
                found.set_result(socket.getaddrinfo(*asked, **terms))
            except (OSError, UnicodeError) as error:
                found.set_exception(error)

        Thread(target=look_up, name="look-up", daemon=True).start()
        return await asyncio.wrap_future(found)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of work that is done in such a loop; in any thread that has none."""
    with asyncio.Runner(loop_factory=CommandLoop) as runner:
        return runner.run(work)
