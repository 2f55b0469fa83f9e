"""The time zone of the machine, as another one for a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def machine_zone(name: str) -> Iterator[None]:
    """Give the process the zone of this name, or of these rules."""
    try:
        with pytest.MonkeyPatch.context() as changed:
            changed.setenv("TZ", name)
            time.tzset()
            yield
    finally:
        time.tzset()
