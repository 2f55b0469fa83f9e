"""Figures of media that come after the end of their call: its record is in the journal and waits to be booked.

A record is booked without them where they come later than that, or after a kill.
"""

import asyncio
from typing import Final

import msgspec

from vosd.cdr.record import CallRecord

WITHIN_S: Final = 0.4
"""Longest wait of a record for its figures: an rtpengine has got its last order twice by then."""
DOCUMENTS_MAX: Final = 20_000
"""Most documents that wait for their records: those of calls that wait on disk for a database that is away."""


class LateMedia:
    """The columns ``media`` of records that have ended, as far as they change once more."""

    def __init__(self) -> None:
        self._awaited: dict[str, float] = {}
        """Calls whose figures are awaited, and until when on the clock of the event loop."""
        self._documents: dict[str, str] = {}
        self._came: asyncio.Event | None = None
        """Set with the next figures that come, if records wait for them."""

    def expect(self, call_id: str) -> None:
        """Note that figures of a call that ends now will come, or that they will not."""
        self._awaited[call_id] = asyncio.get_running_loop().time() + WITHIN_S

    def came(self, call_id: str, document: str | None) -> None:
        """Take the document of a call with its final figures; None = the one that its record has stands.

        One that is not awaited any more is dropped: its record may be booked.
        """
        if self.is_awaited(call_id):
            del self._awaited[call_id]
            if document is not None and len(self._documents) < DOCUMENTS_MAX:
                self._documents[call_id] = document
        if self._came is not None:
            self._came.set()

    def is_awaited(self, call_id: str) -> bool:
        """Return whether the figures of a call may still come for its record."""
        due = self._awaited.get(call_id)
        if due is None:
            return False
        if due > asyncio.get_running_loop().time():
            return True
        del self._awaited[call_id]
        return False

    async def settled(self, call_id: str) -> None:
        """Wait until the figures of a call have come, or come too late."""
        while self.is_awaited(call_id):
            self._came = asyncio.Event()
            try:
                async with asyncio.timeout_at(self._awaited[call_id]):
                    await self._came.wait()
            except TimeoutError:
                continue
        self._came = None

    def completed(self, record: CallRecord) -> CallRecord:
        """Return a record with the figures that have come for it."""
        document = self._documents.pop(record.call_id, None)
        return record if document is None else msgspec.structs.replace(record, media=document)
