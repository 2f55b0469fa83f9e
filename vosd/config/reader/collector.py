"""The garbage collector while a configuration is read, or the modules of the switch."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the garbage collector.

    It would examine millions of growing objects again and again and free none of them; in a running switch each
    examination also delays the calls.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
