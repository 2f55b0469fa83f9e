"""Versions that put back what was in force before a change that the running switch has refused.

A version is never deleted, so a change is withdrawn by further ones.
"""

from collections.abc import Mapping, Sequence

import msgspec

from vosd.admin.office.principal import Principal
from vosd.catalogue.stored_objects import ObjectVersion, in_force_at

MEMO = "the running switch did not take the version before"


class WithdrawChange(msgspec.Struct, frozen=True):
    """The withdrawal of a change that the running switch has refused; the audit names it beside the change."""

    why: tuple[str, ...]
    """Reasons of the switch."""


def put_back(
    refused: Sequence[ObjectVersion],
    histories: Mapping[tuple[str, str], Sequence[ObjectVersion]],
    who: Principal,
    now: int,
) -> list[ObjectVersion] | None:
    """Return the versions that put back what was before; None where one of the objects was changed since.

    ``histories`` have all versions of each object, ``now`` is UTC milliseconds.
    """
    made = []
    for each in refused:
        known = histories.get((each.kind, each.name), ())
        if any(other.version > each.version for other in known):
            return None
        before = in_force_at((other for other in known if other.version != each.version), each.begins_at)
        made.append(
            ObjectVersion(
                kind=each.kind,
                name=each.name,
                version=each.version + 1,
                body=None if before is None else before.body,
                begins_at=max(now, each.begins_at),
                made_at=now,
                operator=who.recorded,
                memo=MEMO,
            )
        )
    return made
