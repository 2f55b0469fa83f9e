"""The oldest call that the journal's files have: records of it may be booked, now or after a loss of commits.

Payloads are not decoded, so this is quick; it may run in a thread or another process while the switch writes.
"""

from pathlib import Path

from vosd.engine.journal.files import all_files, opened
from vosd.engine.journal.frames import NO_CALL, frames_in

_TIME_BYTES = 6
"""Bytes of a call id that are its time."""


def oldest_call(directory: Path) -> int | None:
    """Return when the oldest call began, UTC milliseconds; None if there is none.

    Files of the first format do not say it outside of their records: one of them counts as older than everything.
    """
    oldest: bytes | None = None
    for path in all_files(directory):
        file = opened(path)
        if file is None:
            continue
        with file:
            for part in frames_in(file):
                if part.call != NO_CALL and (oldest is None or part.call < oldest):
                    oldest = part.call
                elif part.call == NO_CALL and part.kind == 0 and hasattr(part, "payload"):
                    return 0
    return None if oldest is None else int.from_bytes(oldest[:_TIME_BYTES], "big")
