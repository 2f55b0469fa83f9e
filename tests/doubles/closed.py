"""A directory that this user may not read, for root too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_OTHER: Final = 65534


@contextmanager
def closed(directory: Path) -> Iterator[None]:
    """Close a directory; root acts as another user meanwhile."""
    was, mode = os.geteuid(), directory.stat().st_mode
    directory.chmod(0)
    if was == 0:
        os.seteuid(_OTHER)
    try:
        yield
    finally:
        os.seteuid(was)
        directory.chmod(mode)
