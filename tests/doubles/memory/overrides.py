"""Operational overrides in a dictionary; no method awaits, so each is one transaction."""

from collections.abc import Collection, Mapping, Sequence
from operator import gt, lt

import msgspec

from vosd.catalogue.overrides import Key, Override, Overrides, Target
from vosd.catalogue.ports import NOT_KNOWN, OverrideAction, OverrideRecord
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.audit_line import AuditLine
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.overrides import require_seen
from vosd.storage.types import Unstorable, descriptive, identifying


class MemoryOverrides:
    """Does as ``vosd.storage.overrides.SqlOverrides``; its lines of the audit are in ``audit``, oldest first."""

    def __init__(self) -> None:
        self._kept: dict[Key, Override] = {}
        self._changes: list[OverrideRecord] = []
        self._version = 0
        self.audit: list[AuditLine] = []

    async def version(self) -> int:
        """Return the version of the overrides."""
        return self._version

    async def load(self, name: str | None = None) -> Overrides:
        """Return all overrides by target, name and setting, or those of a name alone."""
        wanted = [each for each in self._kept.values() if name in {None, each.name}]
        in_order = sorted(wanted, key=lambda each: (each.target.value, each.name, each.setting.value))
        return Overrides(in_order, self._version)

    async def put(
        self,
        overrides: Sequence[Override],
        now: int,
        configured: Mapping[Key, str] = NOT_KNOWN,
        audit: AuditLine | None = None,
    ) -> None:
        """Set overrides; one of the same key is replaced, and ``configured`` has what held where there was none.

        Raises:
            ContentRefused: a name is too long; nothing was changed.
        """
        stored = [_stored(each) for each in overrides]
        self._expire(now)
        for each in stored:
            replaced = self._kept.get(each.key)
            self._kept[each.key] = each
            before = configured.get(each.key) if replaced is None else replaced.value
            self._changes.append(OverrideRecord(now, OverrideAction.SET, each, each.operator, before))
        self._note(audit)

    async def clear(
        self, keys: Collection[Key], operator: str, now: int, audit: AuditLine | None = None, seen_at: int | None = None
    ) -> Sequence[Override]:
        """Remove overrides, and return those that there were; ``seen_at``: none that was set later."""
        self._expire(now)
        require_seen([self._kept[key] for key in keys if key in self._kept], seen_at)
        found = [self._kept.pop(key) for key in dict.fromkeys(keys) if key in self._kept]
        by = descriptive(operator, NAME_LENGTH)
        self._changes += [OverrideRecord(now, OverrideAction.CLEARED, each, by) for each in found]
        if found:
            self._note(audit)
        return found

    async def expire(self, now: int) -> None:
        """Remove what has expired."""
        self._expire(now)

    async def changes(
        self,
        limit: int,
        name: str | None = None,
        target: Target | None = None,
        after: int | None = None,
        *,
        oldest_first: bool = False,
    ) -> Sequence[OverrideRecord]:
        """Return the latest changes, newest first, or the first ones; ``after`` that number in this order."""
        is_after = gt if oldest_first else lt
        numbered = [*enumerate(self._changes, start=1)]
        return [
            each._replace(id=number)
            for number, each in (numbered if oldest_first else reversed(numbered))
            if name in {None, each.override.name}
            and target in {None, each.override.target}
            and (after is None or is_after(number, after))
        ][:limit]

    def _note(self, line: AuditLine | None) -> None:
        if line is not None:
            self.audit.append(line)

    def _expire(self, now: int) -> None:
        self._version += 1
        for key, each in [*self._kept.items()]:
            if not each.holds_at(now):
                del self._kept[key]
                self._changes.append(
                    OverrideRecord(now if each.until is None else each.until, OverrideAction.EXPIRED, each, None)
                )


def _stored(override: Override) -> Override:
    try:
        name = identifying(override.name, NAME_LENGTH)
        value = identifying(override.value, schema.VALUE_LENGTH)
    except Unstorable as error:
        raise ContentRefused(str(error)) from error
    memo = None if override.memo is None else descriptive(override.memo, schema.MEMO_LENGTH)
    operator = descriptive(override.operator, NAME_LENGTH)
    return msgspec.structs.replace(override, name=name, value=value, memo=memo, operator=operator)
