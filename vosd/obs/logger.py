"""The logger of every module: it has no name, and takes level and form of each line from ``obs.log``."""

from typing import Any, Final

import structlog

log: Final[Any] = structlog.get_logger()
