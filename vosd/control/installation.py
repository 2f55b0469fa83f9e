"""Orders about the switch itself: its status, its configuration, overrides in force, alarms."""

from typing import Any

import msgspec

from vosd.control.order import Order, OrderDone


class DatabaseReport(msgspec.Struct, frozen=True):
    """The switch and its database."""

    state: str
    """``well``, ``away``, ``regressed`` or ``lease_lost``."""
    lease: str
    """Holder of the database: this switch, or the one that has taken it."""
    regressed_at: str | None
    """Time at which lost commits were noticed last."""
    booked_again: int
    """Calls that were booked again since."""


class MachineUse(msgspec.Struct, frozen=True):
    """Use of the machine over a minute, or since the start; None = not known yet."""

    cpu_percent: float | None = None
    """Use of all processors of the machine together, in percent."""
    memory_percent: float | None = None
    """Used part of the memory, of the machine or of the limit of the service, whichever has less left, in percent."""
    disk_free_percent: float | None = None
    """Free part of the disk of ``state_dir``."""
    processes: dict[str, float] = {}
    """Use of one core, in percent, by ``switch``, ``bookkeeper`` and each media worker: each uses one core alone."""
    received_bytes: float | None = None
    """Bytes a second that the network devices of the machine receive; in a container, its interfaces."""
    sent_bytes: float | None = None
    """Bytes a second that they send."""


class CatalogueState(msgspec.Struct, frozen=True):
    """The catalogue in force, and why the last reload was refused."""

    version: str
    """Version of the configuration in force."""
    loaded_at: str
    """Time at which it was loaded, RFC 3339."""
    error: str | None
    """Why the last reload was refused; None = it was not."""


class SwitchStatus(msgspec.Struct, frozen=True):
    """Process, live objects, counters and catalogue of one switch."""

    version: str
    """Version of the program."""
    node: str
    id: str
    """Id of the installation."""
    configuration: str
    """Absolute path of the file."""
    pid: int
    """Id of its process."""
    started_at: str
    figures: dict[str, int]
    """Counters since the start and present numbers, by name, as ``vosd status`` has them."""
    session_refresh_failed: dict[str, int]
    """By gateway or phone."""
    machine: MachineUse
    """Use of the machine."""
    database: DatabaseReport
    """State of the database, and what waits for it."""
    catalogue: CatalogueState
    """Configuration in force."""
    listen: list[str] | None = None
    """Sockets for SIP that are open, as `sip.listen` has them; null = the switch does not say it."""

    def document(self) -> dict[str, Any]:
        """Return the object of ``vosd status --json``: the figures are keys of it."""
        shown: dict[str, Any] = {}
        for name, value in msgspec.to_builtins(self).items():
            shown.update(value if name == "figures" else {name: value})
        return shown


class GetStatus(Order[SwitchStatus], frozen=True, tag="status"):
    """Return the status; it is answered also when too many orders are carried out."""


class ReloadOutcome(msgspec.Struct, frozen=True):
    """Version of the catalogue in force, and warnings."""

    version: str
    """Version in force now."""
    problems: list[str]
    """Warnings, as text."""


class Reload(Order[ReloadOutcome], frozen=True, tag="reload"):
    """Load the configuration again; ``is_confirmed``: also if it removes much."""

    is_change = True

    is_confirmed: bool = False
    follows_order: bool = False
    """Also if it removes what running calls use, where orders have ended that in the database: each was asked about its
    own, and none is asked about those of others. Sent where the reload was refused without it."""
    is_by_operator: bool = False
    """Whether an operator orders the reload itself, so that registrations with vendors that back off ask at once. A
    change of the definitions is loaded without it."""


class ObjectsInUse(msgspec.Struct, frozen=True):
    """Objects that running calls use, of those that were asked for."""

    accounts: list[str]
    """Accounts of running calls."""
    gateways: list[str]
    """Gateways and phones of running calls."""
    currencies: dict[str, str]
    """Accounts with running calls or calls that are not booked yet, and the currency of these."""


class FindObjectsInUse(Order[ObjectsInUse], frozen=True, tag="objects_in_use"):
    """Return those of some objects that running calls use."""

    accounts: list[str]
    gateways: list[str]
    """Names of gateways and phones."""


class TryReload(Order[ReloadOutcome], frozen=True, tag="try_reload"):
    """Do what a reload of a file would do before it is put in force, and change nothing; refused as that would be."""

    configuration: str
    """Absolute path: the switch's own file, or one that may become it."""


class Successor(msgspec.Struct, frozen=True):
    """The process that takes over."""

    pid: int


class Restart(Order[Successor], frozen=True, tag="restart"):
    """Start a successor of the installed version and, once it is ready, stop.

    It is understood between all versions of the protocol, for it is how one follows another: its form never changes,
    but for what is sent only where the operator asks for it.
    """

    is_change = True

    ends_calls: bool = False
    """Whether to restart also where the successor cannot read running calls, which end then."""


class ScheduledReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A report at a fixed time: what it is, what was delivered of it, and what comes next."""

    name: str
    report: str
    """As `vosd report list` has them."""
    every: str
    """``day``, ``week`` or ``month``."""
    timezone: str
    """The zone of its periods."""
    account: str | None
    """Calls of this account alone; None = of all."""
    gateway: str | None
    """Calls by this gateway or phone alone; None = by all."""
    area: str | None
    """Calls to this destination alone; None = to all."""
    criteria: str
    """Criteria of its calls, such as `account acme, reason Busy`; empty = all calls."""
    form: str
    """``xlsx``, ``csv`` or ``pdf``."""
    directory: str | None
    """Directory that it is written to."""
    mail: list[str]
    """Addresses that it is sent to."""
    period: str
    """The period that comes next, such as 2026-10-05, 2026-W41 or 2026-10."""
    due_at: str
    """Time at which that is made, RFC 3339."""
    done_until: str
    """Periods before this time are delivered, or lie before the report was configured; RFC 3339."""
    why: str | None
    """Why the latest attempt has failed, or the calls that it waits for; None = neither."""
    retry_at: str | None
    """Time of the next attempt, RFC 3339; None = none has failed."""
    source: str = ""
    """Place of its definition: file and line, or ``database``; empty = the running switch does not say it."""


class ListScheduledReports(Order[list[ScheduledReportRow]], frozen=True, tag="scheduled_reports"):
    """List the reports at fixed times."""


class GetConfiguration(Order[dict[str, dict[str, Any]]], frozen=True, tag="configuration"):
    """Describe the configuration in force: for each object its keys and values.

    The values are free: each kind of object has keys of its own, and a reader compares or prints them.
    """


class OverrideRow(msgspec.Struct, frozen=True):
    """An override as ``vosd overrides list`` shows it."""

    target: str
    """``account``, ``mapping`` (also a phone), ``routing``, or ``destination`` (a class of an account)."""
    name: str
    setting: str
    """Name of the setting, such as ``max_concurrent``."""
    value: str | None
    """Value of the setting, as text; None = it has none, as a block."""
    operator: str
    since: str
    """Time at which it was set, RFC 3339."""
    until: str | None
    """Time at which it ends, RFC 3339; None = it is cleared by hand."""
    memo: str | None


class ListOverrides(Order[list[OverrideRow]], frozen=True, tag="overrides"):
    """List the overrides in force."""


class RefreshOverrides(Order[OrderDone], frozen=True, tag="refresh_overrides"):
    """Read what has changed of the overrides; answered when it is in force."""


class CountApiAnswers(Order[OrderDone], frozen=True, tag="count_api_answers"):
    """Add answers of the management API, a process of its own, to those that the metrics of the switch have."""

    answers: dict[str, int]
    """Answers since the report before, by the class of their status, such as ``2xx``; ``none``: the client has gone."""


class AlarmRow(msgspec.Struct, frozen=True):
    """An alarm as JSON has it."""

    alarm: str
    """Name of the alarm, as in docs/operations.md."""
    subject: str
    """The object that it is about, such as a gateway; empty = the switch."""
    level: str
    """Urgency: ``info``, ``warning`` or ``critical``."""
    since: str
    """Time of the first report, RFC 3339."""
    last: str
    """Time of the latest report, RFC 3339."""
    count: int
    """Number of reports since it began."""
    text: str
    """Sentence for people."""
    do: str
    """Steps for people that end it."""
    cleared_at: str | None
    """Time at which it ended, RFC 3339; None = it holds."""
    confirmed_by: str | None = None
    """Person or program who has confirmed it; None = it was not."""
    note: str | None = None
    """Note of who has confirmed it."""
    silent_until: str | None = None
    """Time until which it is not delivered, RFC 3339, also where it ends and begins again; None = it is."""


class AlarmList(msgspec.Struct, frozen=True):
    """Alarms, and the number of reports that were not kept."""

    alarms: list[AlarmRow]
    """Alarms, the most urgent first, of those the latest first."""
    left_out: int
    """Reports that were not kept, because there were too many."""


class ConfirmedAlarm(msgspec.Struct, frozen=True):
    """An alarm as it is confirmed."""

    alarm: AlarmRow | None
    """The alarm; None = no such alarm holds."""


class ConfirmAlarm(Order[ConfirmedAlarm], frozen=True, tag="confirm_alarm"):
    """Note who has seen an alarm that holds, and until when it is not delivered."""

    is_change = True

    alarm: str
    by: str
    """Person or program that confirms it."""
    subject: str = ""
    note: str | None = None
    silent_until_ms: int | None = None
    """UTC milliseconds; None = it is delivered."""


class ListAlarms(Order[AlarmList], frozen=True, tag="alarms"):
    """List the alarms that hold, or (``history``) those that were cleared."""

    history: bool = False
    """Whether alarms that are over are wanted instead of those that hold."""
