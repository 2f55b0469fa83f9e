"""Operations about what is watched: alarms, overrides, the blacklist, the audit, parameters."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from vosd.admin.office.alarms import (
    clear_blacklist,
    confirm_alarm,
    list_alarms,
    list_blacklist,
    list_locked_out,
    unblock_source,
)
from vosd.admin.office.audit import AuditSheet, ListAudit, list_audit
from vosd.admin.office.events import view_events
from vosd.admin.office.office import Office
from vosd.admin.office.overrides import (
    OverrideChange,
    ShowOverrideChanges,
    block_account,
    block_gateway,
    clear_overrides,
    set_gateway,
    set_overdraft_limit,
    show_override_changes,
    show_overrides,
    unblock_account,
    unblock_gateway,
)
from vosd.admin.office.parameters import list_parameters
from vosd.admin.office.principal import Principal
from vosd.admin.office.webhooks import list_dead_letters, replay_dead_letters
from vosd.api.operation import Listing, Operation, Run
from vosd.control.events import EventDocument
from vosd.control.installation import AlarmList, AlarmRow
from vosd.obs.alarms import Level

_LINES_AT_ONCE: Final = 200


def _by_parts(use_case: Callable[..., Awaitable[Sequence[Any]]]) -> Run:
    """Return what yields the lines of a record, a bounded number at once, as its orders number them."""

    async def read(office: Office, who: Principal, order: Any) -> AsyncIterator[Any]:
        left = order.limit
        while left > 0:
            part = replace(order, limit=min(left, _LINES_AT_ONCE))
            lines = await use_case(office, who, part)
            for line in lines:
                yield line
            if len(lines) < part.limit:
                return
            left -= len(lines)
            order = replace(order, after=lines[-1].id)

    return read


def _order_of_alarm(row: Mapping[str, Any]) -> tuple[float | str, ...]:
    """Order alarms that hold by urgency and begin, those that were cleared by their end; the latest first."""
    cleared = row["cleared_at"]
    latest = datetime.fromisoformat(cleared or row["since"]).timestamp()
    return (0 if cleared else -Level(row["level"]).rank, -latest, row["alarm"], row["subject"], row["since"])


OPERATIONS: Final = (
    Operation(
        "GET /webhooks/dead-letters",
        "Events that receivers of webhooks did not get, and will not get unless they are replayed.",
        list_dead_letters,
        problems=("daemon_refused", "daemon_unreachable", "no_such_receiver"),
        listing=Listing("receiver,number", sorts=("number",)),
    ),
    Operation(
        "POST /webhooks/{receiver}/replay",
        "Deliver dead letters of a receiver again: one, or all.",
        replay_dead_letters,
        problems=("daemon_refused", "daemon_unreachable", "no_such_receiver"),
    ),
    Operation(
        "GET /events",
        "Live events as Server-Sent Events; docs/api.md has their facts by type.",
        view_events,
        result=EventDocument,
        problems=("out_of_scope", "unknown_name"),
        is_live=True,
    ),
    Operation(
        "GET /alarms",
        "The alarms that hold, the most urgent first, or those that were cleared.",
        list_alarms,
        result=AlarmRow,
        problems=("daemon_unreachable",),
        is_of_all=True,
        listing=Listing(
            order=_order_of_alarm,
            sorts=("alarm", "subject", "since", "last", "count", "cleared_at"),
            inside=(AlarmList, "alarms"),
        ),
    ),
    Operation(
        "POST /alarms/{alarm}/confirmation",
        "Note who has seen an alarm that holds, and keep it silent until a moment; else one that stands ends.",
        confirm_alarm,
        problems=("daemon_refused", "daemon_unreachable", "no_such_alarm"),
    ),
    Operation(
        "GET /overrides",
        "Operational overrides of gateways, phones and accounts.",
        show_overrides,
        listing=Listing(
            "name,target,setting", filters=("target", "setting", "operator"), sorts=("name", "since", "until")
        ),
    ),
    Operation(
        "DELETE /overrides",
        "Clear overrides: of a name, of a setting, or all.",
        clear_overrides,
        problems=("many_overrides", "no_such_override"),
    ),
    Operation(
        "GET /overrides/changes",
        "The latest overrides that were set, cleared or have expired.",
        _by_parts(show_override_changes),
        use_case=show_override_changes,
        takes=ShowOverrideChanges,
        result=OverrideChange,
        fixed={"oldest_first": False},
        listing=Listing("id", sorts=("id",), descends=True, in_parts=True, backwards="oldest_first"),
    ),
    Operation(
        "POST /gateways/{name}/overrides",
        "Set priority, weight or limits of a gateway or phone until they are cleared or expire.",
        set_gateway,
        problems=("out_of_scope", "right_lacking", "set_by_others", "unknown_name"),
    ),
    Operation(
        "POST /accounts/{account}/overrides",
        "Set the overdraft limit of an account until it is cleared or expires.",
        set_overdraft_limit,
        problems=("out_of_scope", "right_lacking", "set_by_others", "unknown_name"),
    ),
    Operation(
        "POST /gateways/{name}/block",
        "Take no new calls from and to a gateway or phone.",
        block_gateway,
        problems=("out_of_scope", "right_lacking", "set_by_others", "unknown_name"),
    ),
    Operation(
        "DELETE /gateways/{name}/block",
        "Take calls from and to a gateway or phone again.",
        unblock_gateway,
        problems=("later_override", "no_such_override", "out_of_scope", "right_lacking", "set_by_others"),
    ),
    Operation(
        "POST /accounts/{account}/block",
        "Take no new calls of an account.",
        block_account,
        problems=("out_of_scope", "right_lacking", "set_by_others", "unknown_name"),
    ),
    Operation(
        "DELETE /accounts/{account}/block",
        "Take calls of an account again.",
        unblock_account,
        problems=("later_override", "no_such_override", "out_of_scope", "right_lacking", "set_by_others"),
    ),
    Operation(
        "GET /blacklist",
        "Callers that are refused because they exceeded a limit.",
        list_blacklist,
        problems=("daemon_unreachable",),
        listing=Listing("caller,mapping_gateway", sorts=("caller", "mapping_gateway", "since", "until")),
    ),
    Operation(
        "DELETE /blacklist",
        "Take a number off the blacklist, or all.",
        clear_blacklist,
        problems=("daemon_refused", "daemon_unreachable", "not_refused"),
    ),
    Operation(
        "GET /sources",
        "Sources that are locked out for wrong passwords or blocked for a flood.",
        list_locked_out,
        problems=("daemon_unreachable",),
        listing=Listing(
            "source,cause",
            filters=("source", "cause", "username"),
            sorts=("source", "remaining_s"),
            still={"remaining_s": "until"},
        ),
    ),
    Operation(
        "DELETE /sources",
        "Unblock an address; of IPv6 the /64 that it is in.",
        unblock_source,
        problems=("daemon_refused", "daemon_unreachable", "not_refused"),
    ),
    Operation(
        "GET /audit",
        "Changes that were made through the office and looks at messages of calls, the newest first.",
        _by_parts(list_audit),
        use_case=list_audit,
        takes=ListAudit,
        result=AuditSheet,
        fixed={"oldest_first": False},
        listing=Listing("id", sorts=("id",), descends=True, in_parts=True, backwards="oldest_first"),
    ),
    Operation(
        "GET /parameters",
        "The parameters in force, with the source and the meaning of each.",
        list_parameters,
        needs_database=True,
        listing=Listing("name", filters=("source",), sorts=("name",)),
    ),
)
