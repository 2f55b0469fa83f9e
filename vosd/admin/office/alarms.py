"""Use cases of alarms, and of callers and sources that the running switch refuses by itself."""

from ipaddress import IPv6Network, ip_address
from typing import Annotated, Final

import msgspec

from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.errors import VosError
from vosd.control.installation import AlarmList, AlarmRow, ConfirmAlarm, ListAlarms
from vosd.control.peers import (
    BlacklistedCaller,
    ClearBlacklist,
    ClearedCallers,
    ListBlacklist,
    ListLockedOut,
    SilencedSource,
    Unblock,
    UnblockOutcome,
)

NOTE_CHARACTERS_MAX: Final = 400
_SUBJECTS_SHOWN: Final = 10
_SITE: Final = "/64"
_NUMBER_CHARACTERS_MAX: Final = 128


class CallerNotRefusedError(VosError):
    """The switch refuses no such caller or source."""

    code = "not_refused"


@needs(Permission.STATE_SEE, without_database=True)
async def list_alarms(office: Office, who: Principal, order: ListAlarms) -> AlarmList:
    """Return the alarms that hold, the most urgent first, or those that were cleared, the latest first."""
    return await office.switch.ask(order)


class NoSuchAlarmError(VosError):
    """No such alarm holds."""


class NoteAlarm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm that was seen."""

    alarm: str
    """Name of the alarm, as in docs/operations.md."""
    subject: str | None = ""
    """The object that it is about, as lists have it; empty, as where it is left out, = the switch as a whole, null =
    the only one of the name that holds."""
    note: Annotated[str, msgspec.Meta(max_length=NOTE_CHARACTERS_MAX)] | None = None
    """Note for the other operators."""
    until: int | None = None
    """Moment until which it is not delivered by mail and webhook, also where it ends and begins again; None = it is
    delivered."""


@needs(Permission.BLOCK, without_database=True)
async def confirm_alarm(office: Office, who: Principal, order: NoteAlarm) -> Done[AlarmRow]:
    """Note who has seen an alarm that holds, and keep it silent until a moment; a further one replaces that.

    An alarm that stands until it is confirmed is over, unless a moment is said.

    Raises:
        OrderError: the moment has passed, or several alarms of the name hold and none is chosen.
        NoSuchAlarmError: no such alarm holds.
    """
    if order.until is not None and order.until <= office.now():
        raise OrderError("until", "has passed")
    if order.subject is None:
        order = msgspec.structs.replace(order, subject=await _only_subject(office, order.alarm))
    asked = ConfirmAlarm(
        alarm=order.alarm, by=who.recorded, subject=order.subject or "", note=order.note, silent_until_ms=order.until
    )
    subject = f"{order.alarm} {order.subject}".strip()
    found = (await office.carried_out(office.switch.ask(asked), who, order, subject)).alarm
    if found is None:
        others = await _subjects(office, order.alarm)
        if others:
            raise NoSuchAlarmError(
                f"no alarm {order.alarm} with the subject {order.subject!r} holds; give one of {_shown(others)}"
            )
        raise NoSuchAlarmError(f"no alarm {subject} holds; vosd alarms lists those that do")
    return await office.noted(found, who, order, subject)


async def _subjects(office: Office, alarm: str) -> list[str]:
    """Return the subjects of the alarms of a name that hold."""
    held = await office.switch.ask(ListAlarms())
    return [each.subject for each in held.alarms if each.alarm == alarm]


async def _only_subject(office: Office, alarm: str) -> str:
    """Return the subject of the only alarm of a name that holds; empty where none does."""
    subjects = await _subjects(office, alarm)
    if len(subjects) < 2:
        return subjects[0] if subjects else ""
    raise OrderError("subject", f"is needed where several alarms {alarm} hold", f"give one of {_shown(subjects)}")


def _shown(subjects: list[str]) -> str:
    shown = [repr(each) for each in subjects[:_SUBJECTS_SHOWN]]
    return ", ".join([*shown, "…"] if len(subjects) > _SUBJECTS_SHOWN else shown)


@needs(Permission.STATE_SEE, without_database=True)
async def list_blacklist(office: Office, who: Principal, order: ListBlacklist) -> list[BlacklistedCaller]:
    """Return the callers on the dynamic blacklist, the one that was put there first at the top; raises as alarms do."""
    return await office.switch.ask(order)


@needs(Permission.BLOCK, without_database=True)
async def clear_blacklist(office: Office, who: Principal, order: ClearBlacklist) -> Done[ClearedCallers]:
    """Take a number off the dynamic blacklist, or all.

    Raises:
        OrderError: it is no number.
        CallerNotRefusedError: the number is not on the list.
    """
    number = order.number
    if number is not None and not (
        any(map(str.isalnum, number)) and number.isprintable() and len(number) <= _NUMBER_CHARACTERS_MAX
    ):
        raise OrderError("number", f"{number!r}: expected a calling number as the list shows it")
    subject = number or "blacklist"
    outcome = await office.carried_out(office.switch.ask(order), who, order, subject)
    if outcome.cleared:
        return await office.noted(outcome, who, order, subject)
    if number is not None:
        raise CallerNotRefusedError(f"{number} is not on the list; vosd blacklist list shows who is")
    return Done(outcome)


@needs(Permission.STATE_SEE, without_database=True)
async def list_locked_out(office: Office, who: Principal, order: ListLockedOut) -> list[SilencedSource]:
    """Return the sources that are locked out or blocked; raises as alarms do."""
    return await office.switch.ask(order)


@needs(Permission.BLOCK, without_database=True)
async def unblock_source(office: Office, who: Principal, order: Unblock) -> Done[UnblockOutcome]:
    """Unblock an IP address; of IPv6 the /64 is locked out, so any address of it will do.

    Raises:
        OrderError: it is no address.
        CallerNotRefusedError: it was neither locked out nor blocked.
    """
    order = msgspec.structs.replace(order, address=_host_in(order.address))
    outcome = await office.carried_out(office.switch.ask(order), who, order, order.address)
    if not outcome.unblocked:
        raise CallerNotRefusedError(f"{order.address} was not locked out; vosd unblock --list shows who is")
    return await office.noted(outcome, who, order, order.address)


def _host_in(text: str) -> str:
    """Return an address of the given source: one address, or the /64 of an IPv6 one."""
    try:
        if text.endswith(_SITE):
            return str(IPv6Network(text, strict=False).network_address)
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        expected = f"expected an IP address or an IPv6 network of {_SITE}, as the list shows them"
        raise OrderError("address", f"{text!r}: {expected}") from None
