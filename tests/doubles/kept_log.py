"""The log of a test process as it was before a test that sets it up: other tests measure what a line of it costs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from vosd.obs import log


@contextmanager
def log_as_it_was() -> Iterator[None]:
    """Put back, at the end, how structlog, the standard library's log and the line of a call were set up."""
    root, calls = logging.getLogger(), log._calls
    handlers, level, direct, is_wanted = root.handlers[:], root.level, calls.direct, calls.is_wanted
    structlog_was = structlog.get_config()
    try:
        yield
    finally:
        structlog.configure(**structlog_was)
        root.handlers[:] = handlers
        root.setLevel(level)
        calls.direct, calls.is_wanted = direct, is_wanted
