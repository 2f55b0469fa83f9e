"""The running switch takes a stored change, or the change is withdrawn."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from vosd.admin.office.change_check import Checked, when_checked
from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import Plan, WantedObject, audit_line, versions_of
from vosd.admin.office.principal import Principal
from vosd.admin.office.withdrawn_changes import WithdrawChange, has_mistake, objects_at_fault, put_back
from vosd.base.errors import VosError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError
from vosd.control.installation import Reload, ReloadOutcome

_RELOAD_S: Final = 600.0
"""Longest time until the switch has taken a change."""
_MENDED_S: Final = 5.0
"""Longest time until a change of others that the switch has refused is withdrawn."""
_WITHDRAWAL_S: Final = 120.0
"""Longest time until the withdrawal of a change is checked: most of the time of the request may have been needed."""
_LOOK_S: Final = 0.1
"""Interval at which the versions of others are read until then."""
_WARNINGS_AT_MOST: Final = 100
"""Warnings of the switch that a result has: every object may have one."""
_MENDED_AT_MOST: Final = 5
"""Objects of others whose withdrawal is waited for: each is looked for by a statement of its own."""


class NotTakenError(VosError):
    """The running switch does not take a change, which was withdrawn, or is in the database: the message says it."""


class TakenChange(NamedTuple):
    """Answer of the running switch to a change."""

    in_force: bool | None
    """False = none runs, or none answers; None = it was not asked."""
    warnings: list[str]
    """Warnings of the switch; an agent sees none, for they name objects of others."""
    untold: str = ""
    """Why a running switch has not taken it yet; empty if it has, or if none runs."""


NOT_ASKED: Final = TakenChange(None, [])


async def taken(
    office: Office, who: Principal, versions: Sequence[ObjectVersion], *, is_confirmed: bool, has_booked: bool = False
) -> TakenChange:
    """Have the running switch take a change that made versions of objects.

    One that it refuses for a mistake in its objects is withdrawn, unless money was booked with it: what stays would
    keep all others out of force.

    Raises:
        NotTakenError: the switch does not take it; the message says whether it was withdrawn.
    """
    untaken = office.changing.untaken
    with untaken.asked(() if has_booked else versions):
        try:
            outcome = await _reloaded_behind_others(office, versions, is_confirmed=is_confirmed)
        except DaemonRefusedError as refused:
            is_bad = refused.code == "configuration_invalid" and has_mistake(versions, refused.problems)
            if not is_bad:
                untaken.forget(_without_later(versions, refused))
            is_withdrawn = False
            if (is_bad and not has_booked) or any(map(untaken.is_withdrawn, versions)):
                is_withdrawn = await _withdraw(office, who, versions, refused.problems)
            raise _not_taken(who, (str(refused), *refused.problems), is_withdrawn=is_withdrawn) from refused
        except DaemonUnreachableError as error:
            untaken.forget(versions)
            return TakenChange(
                in_force=False,
                warnings=[],
                untold="it takes the change when it works again, or refuses it, as where it ends what running calls use"
                f" (then vosd reload --yes): {error}",
            )
        untaken.forget(versions)
        with_later = [f"{each.kind} {each.name}" for each in versions if untaken.is_withdrawn(each)]
        if with_later:
            why = (f"a later change of {', '.join(with_later)} was refused, and withdrawn with this one: do it again",)
            raise _not_taken(who, why, is_withdrawn=await _withdraw(office, who, versions, why))
    if outcome is None:
        return TakenChange(in_force=False, warnings=[])
    names = [text for each in versions for text in (f"{each.kind} {each.name} (", f"{each.kind}[{each.name}]")]
    found = sorted(outcome.problems, key=lambda said: not any(name in said for name in names))
    return TakenChange(in_force=True, warnings=found[:_WARNINGS_AT_MOST] if who.account is None else [])


def _without_later(versions: Sequence[ObjectVersion], refused: DaemonRefusedError) -> list[ObjectVersion]:
    """Return the versions on top of which no version was made that the switch has refused for a mistake in it.

    The mistake of the later one may be that of the one below it.
    """
    later = objects_at_fault(refused.problems) if refused.code == "configuration_invalid" else {}
    return [each for each in versions if later.get((each.kind, each.name), 0) <= each.version]


def _not_taken(who: Principal, why: Sequence[str], *, is_withdrawn: bool) -> NotTakenError:
    if who.account is not None:  # the reasons name objects of others, and files of the switch
        if is_withdrawn:
            message = "the running switch does not take the change, which was withdrawn: ask its operators"
        else:
            message = "the change is in the database, and the running switch does not take it: ask its operators"
        return NotTakenError(message)
    reasons = "\n".join(why)
    if is_withdrawn:
        message = f"the running switch does not take the change, which was withdrawn:\n{reasons}"
    else:
        message = f"the change is in the database, and the running switch does not take it:\n{reasons}"
    return NotTakenError(message)


async def _withdraw(office: Office, who: Principal, versions: Sequence[ObjectVersion], why: Sequence[str]) -> bool:
    """Withdraw a change, also where the request is given up; return whether all of it was withdrawn."""
    own_time = office.in_time(asyncio.get_running_loop().time() + _WITHDRAWAL_S)
    return await office.changing.carry_out(_withdrawn(own_time, who, versions, why))


async def _withdrawn(office: Office, who: Principal, versions: Sequence[ObjectVersion], why: Sequence[str]) -> bool:
    """Put back what was before a change; False where that cannot be, as where another change was made to it since."""
    untaken = office.changing.untaken
    who = msgspec.structs.replace(who, request=None, job=None)  # these are of the change
    left = [each for each in versions if not untaken.is_withdrawn(each)]  # by a later change of another principal
    if not left:
        return True
    with untaken.asked(left):
        try:
            objects = [WantedObject(each.kind, each.name, None) for each in left]
            found = put_back(left, await versions_of(office.stores.objects, objects), untaken, who, office.now())
            if found is None or not found.made:
                return False
            beside = tuple(f"{each.kind} {each.name} {each.version}: {each.operator}" for each in found.beside)
            order = WithdrawChange(tuple(why[:_WARNINGS_AT_MOST]), beside)
            line = audit_line(office, who, order, found.made)

            async def add(checked: Checked) -> None:
                await office.stores.objects.add(found.made, line, checked=checked.definitions)
                untaken.note_withdrawn(found.beside)

            await when_checked(office, None, Plan([], [*found.made], []), None, add)  # before changes of other accounts
        except VosError:
            return False
    return True


async def _reloaded_behind_others(
    office: Office, versions: Sequence[ObjectVersion], *, is_confirmed: bool
) -> ReloadOutcome | None:
    """Have the running switch load what is stored, once more where a change of others that it refuses is withdrawn."""
    try:
        return await _reloaded(office, is_confirmed=is_confirmed)
    except DaemonRefusedError as refused:
        if refused.code != "configuration_invalid" or has_mistake(versions, refused.problems):
            raise
        office.changing.untaken.forget(_without_later(versions, refused))
        if not await _mended(office, objects_at_fault(refused.problems)):
            raise
    return await _reloaded(office, is_confirmed=is_confirmed)


async def _mended(office: Office, at_fault: Mapping[tuple[str, str], int]) -> bool:
    """Wait until objects that were changed a moment ago have another version; False = they have none."""
    if not 0 < len(at_fault) <= _MENDED_AT_MOST:
        return False
    try:
        async with asyncio.timeout(_MENDED_S):
            for (kind, name), version in at_fault.items():
                while (newest := next(iter(await office.stores.objects.history(kind, name)), None)) is not None:
                    if newest.version > version:
                        break
                    if newest.made_at < office.now() - _MENDED_S * 1_000:
                        return False
                    await asyncio.sleep(_LOOK_S)
    except (TimeoutError, VosError):
        return False
    return True


async def _reloaded(office: Office, *, is_confirmed: bool) -> ReloadOutcome | None:
    """Have the running switch load what is stored; None = none runs.

    An order is confirmed about its own objects. A file that lacks a part of others is no concern of it.
    """
    switch = office.switch.patient(_RELOAD_S)
    if not is_confirmed:
        try:
            return await switch.ask_if_running(Reload())
        except DaemonRefusedError as refused:
            if refused.code != "unconfirmed":
                raise
    # What an unconfirmed change ends was not in use a moment ago; what others have ended is not its concern.
    return await switch.ask_if_running(Reload(follows_order=True))
