"""A process that may open few files, as many services do, or no more at all."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def few_files() -> None:
    """Lower the limit of this process, which is to become a daemon; it may raise it again."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))


@contextmanager
def used_up() -> Iterator[None]:
    """Have this process use up its descriptors, and give back those that it has opened for that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.open(os.devnull, os.O_RDONLY)]
    limit = 1 + max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        while True:
            try:
                opened.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in opened:
            os.close(descriptor)
