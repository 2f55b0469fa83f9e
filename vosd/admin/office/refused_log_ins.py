"""Audit lines of refused log-ins, bounded: the audit is never shortened, and a flood must not fill it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from vosd.admin.office.office import Office
from vosd.admin.office.principal import Means
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.audit_line import AuditLine

AT_ONCE: Final = 30
"""Lines that are written however fast log-ins are refused."""
EVERY_MS: Final = 60_000
"""One more line after so long."""


class RefuseLogIn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A log-in that was refused."""

    why: str
    locks_out: bool = False
    """Whether the address was locked out by it."""
    left_out: int = 0
    """Number of refused log-ins before it that have no line."""


class RefusedLogIns:
    """Writes the lines of one process."""

    def __init__(self, mono_ms: Callable[[], int]) -> None:
        """``mono_ms`` returns monotonic milliseconds."""
        self._mono_ms = mono_ms
        self._spent_until = 0
        """Moment at which all lines may be written at once again, monotonic milliseconds."""
        self._left_out = 0

    async def note(self, office: Office, source: str, name: str | None, why: str, *, locks_out: bool = False) -> None:
        """Write a line, where one is due; without ``name`` there is no such person.

        The name that was given then is not written: people type their password into that field.
        """
        now = self._mono_ms()
        spent_until = max(self._spent_until, now) + EVERY_MS
        if spent_until - now > AT_ONCE * EVERY_MS:
            self._left_out += 1
            return
        self._spent_until = spent_until
        left_out, self._left_out = self._left_out, 0
        line = AuditLine(
            at=office.now(),
            principal="",
            role="",
            login="",
            means=Means.PAGE.value,
            source=source,
            action=RefuseLogIn.__name__,
            subject=name or "",
            detail=msgspec.json.encode(RefuseLogIn(why, locks_out, left_out)).decode(),
        )
        with suppress(StoreUnavailable):  # the log-in is refused all the same
            await office.stores.audit.add(line)
            return
        self._left_out += left_out + 1
