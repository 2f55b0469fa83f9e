"""The set-up of a call that is not made: the same steps, with a recorder in place of the live counters."""

from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission, CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.setup import Ask, Question, Setup, Step, Unanswered
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.capacity import Full, NothingTaken, Occupancy
from vosd.trunks.scope import Scope


class RecordedOccupancy(Occupancy):
    """Judges by the calls that there are; what is taken here is recorded and counted nowhere else."""

    __slots__ = ("_real", "taken")

    def __init__(self, real: Occupancy) -> None:
        super().__init__()
        self._real = real
        self.taken: list[tuple[Scope, str]] = []
        """Places that have been taken and not given back."""

    def take(
        self, scope: Scope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Record a place, or say which limit forbids it."""
        full = self.would_refuse(scope, name, max_concurrent, max_cps, mono_ms)
        if full is None:
            self.taken.append((scope, name))
        return full

    def would_refuse(
        self, scope: Scope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Say which limit would forbid one more call now."""
        return self._real.would_refuse(scope, name, max_concurrent, max_cps, mono_ms)

    def release(self, scope: Scope, name: str) -> None:
        """Remove a place from the record.

        Raises:
            NothingTaken: it is not there.
        """
        if (scope, name) not in self.taken:
            message = f"no place of {scope.name.lower()} {name!r} is recorded: release once for each take"
            raise NothingTaken(message)
        self.taken.remove((scope, name))

    def undo(self, scope: Scope, name: str, _mono_ms: int) -> None:
        """Remove a place from the record; raises NothingTaken."""
        self.release(scope, name)


class Rehearsal:
    """Takes calls through their set-up and leaves the live state as it is."""

    def __init__(self, catalogue: Catalogue, live: LiveState, payer: str, steps: tuple[Step, ...]) -> None:
        """``payer`` is the account of the customer."""
        state = LiveState({**live.credits, payer: live.credits[payer].copied()}, live.addresses_of)
        state.rests, state.breakers, state.health = live.rests, live.breakers, live.health
        state.unregistered = live.unregistered
        state.occupancy = self.occupancy = RecordedOccupancy(live.occupancy)
        self.admission = Admission(catalogue, state)
        self._steps = steps
        self.questions: list[Question] = []
        """What a real call would ask; here every question counts as unanswered."""

    def put_through(self, call_request: CallRequest) -> Refusal | None:
        """Take a call through the steps; return why it is refused, None = it is carried."""
        setup = Setup(self.admission, call_request, self._steps)
        outcome = setup.advance()
        while isinstance(outcome, Ask):
            self.questions.append(outcome.question)
            outcome = setup.settle(Unanswered("the call is not made"), call_request.at)
        return outcome
