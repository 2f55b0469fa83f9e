"""Calls that outlive a process of the switch: described for the next one, which goes on with them."""

from collections.abc import Callable, Iterator

from vosd.base.clock import Instant
from vosd.callcontrol.open_call import UNDESCRIBED, ClosedCalls, Description
from vosd.engine.calls.intake import Intake
from vosd.engine.calls.kept import KeptSwitch, described, kept_switch
from vosd.engine.calls.known import KnownObjects
from vosd.engine.calls.live_call import LiveCall, undo
from vosd.engine.calls.readable import as_kept
from vosd.engine.calls.resumption import Resumed, Resumption
from vosd.engine.calls.saved import SavedSwitch
from vosd.engine.calls.services import CallServices
from vosd.engine.journal import Remains
from vosd.sip.endpoint import Endpoint


class Continuation:
    """Describes the live calls of a switch, and goes on with those of an earlier process."""

    def __init__(
        self,
        endpoint: Endpoint,
        services: CallServices,
        intake: Intake,
        begin_again: Callable[[LiveCall, Instant], None],
    ) -> None:
        """``begin_again`` begins again what a restored call waited for; an error in it ends the call."""
        self._endpoint = endpoint
        self._services = services
        self._intake = intake
        self._begin_again = begin_again
        self.lost = 0
        """Charged calls of an earlier process that did not go on."""

    def describe(self, call_id: str) -> Description:
        """Describe an answered call as it is now, for the switch that goes on with it after a crash."""
        live_call = self._services.running.get(call_id)
        return UNDESCRIBED if live_call is None else described(live_call, self._services)

    @property
    def awaits_at_doors(self) -> bool:
        """Whether messages wait to be sent that no other process would send."""
        return self._endpoint.doors is not None and self._endpoint.doors.awaits_answers

    def open_doors(self, now: Instant) -> None:
        """Let the messages leave that wait to be sent, before the calls are described for another process."""
        if self._endpoint.doors is not None:
            self._endpoint.doors.open(now)

    def keep(self) -> KeptSwitch:
        """Describe all live calls and the endpoint for the next process, which goes on with them."""
        return kept_switch(self._endpoint, self._services)

    def for_trial(self) -> Iterator[bytes]:
        """Yield the answered calls as ``keep`` would describe them: a successor tries beforehand to read them."""
        return as_kept(self._services)

    def resume(self, remains: Remains, now: Instant) -> Resumed:
        """Go on with the answered calls of an earlier process; those that cannot be continued stay in ``remains``."""
        resumption = Resumption(self._endpoint, self._services, self._intake, self._intake.settings, now)
        dialogs = self._endpoint.dialogs
        before = {*dialogs.owners}
        resumed = resumption.run(remains)
        dialogs.resumed |= dialogs.owners.keys() - before
        return resumed

    def report_closed(self, closed: ClosedCalls) -> None:
        """Report the end of the calls of an earlier process that do not go on."""
        self.lost += len(closed.lost)
        reporter = self._services.reporter
        if reporter is not None:
            for record in closed.lost:
                reporter.ended(record)
            for call_id in closed.unanswered:
                reporter.lost(call_id)

    def missing_for(self, saved: SavedSwitch) -> str | None:
        """Return a gateway or an account that a call needs and that is not configured; None if all are there."""
        known, credits = KnownObjects.of(self._services.admission.catalogue), self._services.live.credits
        return next(filter(None, (each.missing(known, credits) for each in saved.calls)), None)

    def restore(self, saved: SavedSwitch) -> None:
        """Restore the calls of another process; this switch has none yet, and the credits of all accounts.

        Nothing is sent: ``begin_again`` follows.

        Raises:
            NotRestoredError: some calls cannot be restored, such as one whose gateway is not in the catalogue; the
                switch has no calls then.
        """
        try:
            saved.restored(self._endpoint, self._services, self._intake)
        except Exception:
            self.forget_calls()
            raise

    def begin_again(self, now: Instant) -> None:
        """Begin again what waited for others in the process before.

        Questions that are open are asked again, with the deadlines that they had; INVITEs that waited to be sent are
        examined again.
        """
        for live_call in self._services.running.all():
            if not live_call.is_over:  # the end of one before it may have ended it, too
                self._begin_again(live_call, now)

    def forget_calls(self) -> None:
        """Forget all calls, and what the endpoint has of them and beside them, because a start with them has failed.

        Nothing is sent, and no record is written: the journal of the earlier process still has them.
        """
        self._endpoint.clear()
        for live_call in self._services.running.all():
            undo(live_call, self._services)
