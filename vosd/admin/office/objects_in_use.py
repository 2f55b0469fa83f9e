"""Running calls that use the objects of a change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import Action, CallsUsing, DifferenceSheet, ObjectOrder, Plan
from vosd.base.errors import VosError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.calls import ListCalls
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError, NoDaemonError, OtherVersionError
from vosd.control.installation import FindObjectsInUse

STATUS_S: Final = 5.0
"""Longest time until the switch has said which sockets it has opened, or which objects its calls use."""
_ASKED_BYTES: Final = 32_768
"""Bytes of the names in one question to the switch, whose requests have at most 64 KiB."""
_NAMED_AT_MOST: Final = 5
"""Objects that a message names."""
_CALLS_NAMED: Final = 5
_USED_AS: Final[Mapping[str, Sequence[str]]] = {
    "accounts": ("customer_account", "vendor_account"),
    "mapping_gateways": ("mapping_gateway",),
    "routing_gateways": ("routing_gateway",),
    "phones": ("mapping_gateway", "routing_gateway"),
}
"""Fields of a running call with names of objects of a kind. Of other kinds a call keeps what it began with."""


class UsedByCallsError(VosError):
    """A change removes objects that running calls use, and is not confirmed; nothing was changed."""

    code = "unconfirmed"
    remedy = "wait until they have ended, or confirm the order: running calls go on"


async def check_unused(office: Office, versions: Sequence[ObjectVersion]) -> None:
    """Raise UsedByCallsError where running calls use what would end.

    What is stored and not taken would keep the changes of all others out of force until these calls have ended.
    """
    ended = [each for each in versions if each.body is None and each.kind in _USED_AS]
    if not ended:
        return
    accounts = [each.name for each in ended if each.kind == "accounts"]
    gateways = [each.name for each in ended if each.kind != "accounts"]
    used = await _in_use(office, accounts, gateways)
    named = [
        f"{each.kind} {each.name}"
        for each in ended
        if each.name in (used.accounts if each.kind == "accounts" else used.gateways)
    ]
    if named:
        more = f" and {len(named) - _NAMED_AT_MOST} more" if len(named) > _NAMED_AT_MOST else ""
        raise UsedByCallsError(f"running calls use what the change removes: {', '.join(named[:_NAMED_AT_MOST])}{more}")


class _InUse(NamedTuple):
    """Objects that running calls use, as in ``ObjectsInUse``."""

    accounts: set[str]
    gateways: set[str]
    currencies: dict[str, str]


async def _in_use(office: Office, accounts: Sequence[str], gateways: Sequence[str]) -> _InUse:
    """Return which of some objects running calls use; none where no switch answers, or one of another version.

    Raises:
        DaemonRefusedError: the switch does not say it now, as where it is busy.
    """
    found = _InUse(set(), set(), {})
    switch = office.switch.patient(STATUS_S)
    questions = [
        *(FindObjectsInUse(part, []) for part in _askable(accounts)),
        *(FindObjectsInUse([], part) for part in _askable(gateways)),
    ]
    try:
        for question in questions:
            used = await switch.ask_if_running(question)
            if used is None:
                break
            found.accounts.update(used.accounts)
            found.gateways.update(used.gateways)
            found.currencies.update(used.currencies)
    except (OtherVersionError, DaemonUnreachableError):
        pass
    except DaemonRefusedError as refused:
        if refused.code != "unknown_order":  # an earlier version
            raise
    return found


def _askable(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names in parts that fit into one question each."""
    part: list[str] = []
    size = 0
    for name in names:
        bytes_of_name = len(msgspec.json.encode(name)) + 1
        if part and size + bytes_of_name > _ASKED_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += bytes_of_name
    if part:
        yield part


async def currencies_of_calls(office: Office, plan: Plan) -> Mapping[str, str]:
    """Return the currencies of running and unbooked calls of the accounts that a change does not make.

    One that it ends may be in the files from then on.
    """
    accounts = [each for each in plan.differences if each.kind == "accounts"]
    known = [each.name for each in accounts if each.action in {Action.CHANGED, Action.ENDED}]
    return (await _in_use(office, known, ())).currencies


async def with_calls(
    office: Office, order: ObjectOrder, differences: list[DifferenceSheet]
) -> tuple[list[DifferenceSheet], str]:
    """Return what a trial would change with the running calls that use it, and why these are not known."""
    concerned = {each.kind for each in differences if each.action is not Action.UNCHANGED} & _USED_AS.keys()
    if not order.is_trial or not concerned:
        return differences, ""
    try:
        running = await office.switch.ask(ListCalls())
    except NoDaemonError:
        return differences, "no switch runs"
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return differences, str(error)
    agents = office.definitions.hierarchy() if "accounts" in concerned else None
    users: dict[tuple[str, str], list[str]] = {}
    for call in running:
        for kind, roles in _USED_AS.items():
            names = {getattr(call, role) for role in roles}
            if agents is not None and kind == "accounts" and call.customer_account is not None:
                names |= {*agents.above(call.customer_account)}
            for name in names:
                users.setdefault((kind, name), []).append(call.call_id)
    return [_with_users(each, users) for each in differences], ""


def _with_users(each: DifferenceSheet, users: Mapping[tuple[str, str], list[str]]) -> DifferenceSheet:
    if each.kind not in _USED_AS or each.action is Action.UNCHANGED:
        return each
    found = users.get((each.kind, each.name), [])
    return msgspec.structs.replace(each, calls=CallsUsing(len(found), found[:_CALLS_NAMED]))
