"""Whether the switch takes new calls, and if not, why: for /readyz."""

from collections.abc import Callable
from typing import NamedTuple

from vosd.daemon.lifecycle import State
from vosd.daemon.status import Status
from vosd.engine.booking.database_watch import Condition
from vosd.engine.overload.load import Load


class Readiness(NamedTuple):
    """The answer; lines of a switch that is ready are warnings."""

    is_ready: bool
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "".join(f"{line}\n" for line in self.lines)


def readiness(status: Status, state: Callable[[], State]) -> Readiness:
    """Return whether calls are taken: the listeners are open, no stop was asked for, nothing refuses calls."""
    match state():
        case State.STARTING:
            return Readiness(False, ("the switch is starting",))
        case State.DRAINING | State.STOPPED:
            return Readiness(False, ("the switch is stopping",))
        case State.RUNNING:
            pass
    service, condition = status.service, status.service.database.condition
    if service.database.refuses_calls:
        return Readiness(False, (f"the database is {condition.value}: no new call is taken (vosd status)",))
    if service.switch.services.sink.refuses_calls:
        return Readiness(False, ("too many calls wait for disk or database: no new call is taken (vosd status)",))
    return Readiness(True, tuple(_warnings(status, condition)))


def _warnings(status: Status, condition: Condition) -> list[str]:
    found = []
    if condition is not Condition.WELL:
        found.append(f"the database is {condition.value}: calls are taken and wait in the journal")
    if status.service.inbox.load is Load.OVERLOADED:
        found.append("overload: calls that have waited too long are refused")
    if status.configuration.last_error is not None:
        found.append("the latest configuration was not taken, an older one is in force (vosd status)")
    return found
