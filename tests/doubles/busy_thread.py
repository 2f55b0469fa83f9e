"""A daemon with a thread that never ends, as one that asks a silent server is for a long time."""

from threading import Event, Thread


def busy_thread() -> None:
    """Begin it in this process, which is to become a daemon."""
    Thread(target=Event().wait, name="busy").start()
