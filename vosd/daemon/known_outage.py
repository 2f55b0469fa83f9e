"""Whether a start of the same outage has waited for the database already: the next one begins without it at once."""

from pathlib import Path
from typing import Final

import structlog

NAME: Final = "started-without-database"
"""Name of a file in ``state_dir`` with the identity of the boot: after another one the database may just be
starting."""

_log = structlog.get_logger()


class KnownOutage:
    """The outage that an earlier process has left behind."""

    def __init__(self, state_dir: Path, boot: str) -> None:
        self._file: Final = state_dir / NAME
        self._boot: Final = boot

    def shortened(self, wait_s: int) -> int:
        """Return how long to wait: not at all if an earlier start of this boot has, and none found it since."""
        try:
            return 0 if self._boot and self._file.read_text() == self._boot else wait_s
        except OSError:
            return wait_s

    def found(self) -> None:
        """Note that this start goes on without the database."""
        try:
            self._file.write_text(self._boot)
        except OSError as error:
            _log.warning("outage_not_noted", file=str(self._file), error=str(error), means="the next start waits again")

    async def over(self) -> None:
        """Note that the database answers."""
        self._file.unlink(missing_ok=True)
