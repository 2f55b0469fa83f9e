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
    """Use of the machine, in percent; None = not known yet."""

    cpu_percent: float | None = None
    """Use of one core by the switch over a minute."""
    memory_percent: float | None = None
    disk_free_percent: float | None = None
    """Free part of the disk of ``state_dir``."""


class CatalogueState(msgspec.Struct, frozen=True):
    """The catalogue in force, and why the last reload was refused."""

    version: str
    loaded_at: str
    error: str | None


class SwitchStatus(msgspec.Struct, frozen=True):
    """Process, live objects, counters and catalogue of one switch."""

    version: str
    node: str
    id: str
    """Id of the installation."""
    configuration: str
    """Absolute path of the file."""
    pid: int
    started_at: str
    figures: dict[str, int]
    """By the values of ``obs.figures.Figure``."""
    session_refresh_failed: dict[str, int]
    """By gateway or phone."""
    machine: MachineUse
    database: DatabaseReport
    catalogue: CatalogueState

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
    problems: list[str]


class Reload(Order[ReloadOutcome], frozen=True, tag="reload"):
    """Load the configuration again; ``is_confirmed``: also if it removes much."""

    is_confirmed: bool = False


class Successor(msgspec.Struct, frozen=True):
    """The process that takes over."""

    pid: int


class Restart(Order[Successor], frozen=True, tag="restart"):
    """Start a successor of the installed version and, once it is ready, stop.

    It is understood between all versions of the protocol, for it is how one follows another: its form never changes.
    """


class GetConfiguration(Order[dict[str, dict[str, Any]]], frozen=True, tag="configuration"):
    """Describe the configuration in force: for each object its keys and values."""


class OverrideRow(msgspec.Struct, frozen=True):
    """An override as ``vosd overrides list`` shows it."""

    target: str
    name: str
    setting: str
    value: str | None
    operator: str
    since: str
    until: str | None
    memo: str | None


class ListOverrides(Order[list[OverrideRow]], frozen=True, tag="overrides"):
    """List the overrides in force."""


class RefreshOverrides(Order[OrderDone], frozen=True, tag="refresh_overrides"):
    """Read what has changed of the overrides; answered when it is in force."""


class AlarmRow(msgspec.Struct, frozen=True):
    """An alarm as JSON has it."""

    alarm: str
    subject: str
    level: str
    since: str
    last: str
    count: int
    text: str
    do: str
    """Remedy."""
    cleared_at: str | None


class AlarmList(msgspec.Struct, frozen=True):
    """Alarms, and the number of reports that were not kept."""

    alarms: list[AlarmRow]
    left_out: int


class ListAlarms(Order[AlarmList], frozen=True, tag="alarms"):
    """List the alarms that hold, or (``history``) those that were cleared."""

    history: bool = False
