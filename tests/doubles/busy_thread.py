"""A daemon with a thread that never ends, as one that asks a silent server is for a long time."""

from threading import Event, Thread

from vosd.daemon import bootstrap


def busy_thread() -> None:
    """Begin it in this process, which is to become a daemon that leaves soon."""
    bootstrap.LEAVE_S = 0.1  # type: ignore[misc]
    Thread(target=Event().wait, name="busy").start()
