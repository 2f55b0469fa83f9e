"""Choose the calls of unknown sources that leave a record, where one is wanted: a bounded number, each once."""

from typing import Final

from vosd.base.bucket import Bucket
from vosd.sip.drops import Drop
from vosd.sip.events import UnknownSourceIgnored

A_SECOND: Final = 10
"""Records a second at most; a flood would fill the database."""
_REMEMBERED_MAX: Final = 1_024


class IllegalCalls:
    """Decides for each INVITE of an unknown source. The sender repeats one that is not answered for half a minute."""

    def __init__(self) -> None:
        self._bucket = Bucket(A_SECOND, 0)
        self._seen: dict[tuple[str, str], None] = {}
        """Source and Call-ID of the latest ones."""

    def admits(self, event: UnknownSourceIgnored) -> bool:
        """Return whether this INVITE leaves a record."""
        request = event.request
        if request is None or request.method != "INVITE" or event.why is not Drop.UNKNOWN_SOURCE:
            return False
        key = (str(event.source), request.call_id)
        if key in self._seen or not self._bucket.take(1, A_SECOND, A_SECOND, event.at.mono / 1_000):
            return False
        if len(self._seen) >= _REMEMBERED_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = None
        return True
