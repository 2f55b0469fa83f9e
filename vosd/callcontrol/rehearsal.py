"""Set-up of a call that is not made, for ``explain``: the same steps, with counters beside the live ones."""

from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.questions import Ask, Outcome, SetupQuestion, Step, Unanswered
from vosd.callcontrol.setup import Setup
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Blocks
from vosd.routing.capacity import Occupancy
from vosd.routing.dynamic_lists import CountedCall, DynamicLists, ListedCaller
from vosd.routing.ports import Capacity, Full
from vosd.trunks.gateways import CallerLimits
from vosd.trunks.scope import LimitScope


class RehearsedPlaces(Occupancy):
    """Applies the limits to the live calls; calls that are not made are counted here and nowhere else."""

    def __init__(self, live: Capacity) -> None:
        super().__init__()
        self._live = live

    def take(
        self, scope: LimitScope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Return the limit that forbids one more call beside the live ones; else count it here."""
        full = self.would_refuse(scope, name, max_concurrent, max_cps, mono_ms)
        return full or super().take(scope, name, None, None, mono_ms)

    def would_refuse(
        self, scope: LimitScope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Return the limit that would forbid one more call beside the live ones."""
        return self._live.would_refuse(scope, name, max_concurrent, max_cps, mono_ms)


class RehearsedLists(DynamicLists):
    """Applies the dynamic blacklist to calls that are not made: they are counted here and nowhere else."""

    def __init__(self, live: DynamicLists) -> None:
        super().__init__()
        self._live = live

    def take(
        self, gateway: str, caller: str, target: str, limits: CallerLimits, now: Instant
    ) -> ListedCaller | CountedCall:
        """Return why a call would be refused; else count it here."""
        listing = self._live.judge(gateway, caller, target, limits, now)
        return listing or super().take(gateway, caller, target, limits, now)


class Rehearsal:
    """Runs the set-up of calls without changing the live state."""

    def __init__(
        self, catalogue: Catalogue, live: LiveState, payer: str, steps: tuple[Step, ...], blocks: Blocks | None = None
    ) -> None:
        """``payer`` is the account of the customer; ``blocks`` are those of another moment, None = of now."""
        payers = (payer, *(agent.id for agent in catalogue.agents.get(payer, ())))
        credits = {**live.credits, **{name: live.credits[name].copied() for name in payers}}
        state = LiveState(credits, live.addresses_of, live.is_located, live.entropy)
        state.rests, state.breakers, state.health = live.rests, live.breakers, live.health
        state.false_answers, state.country_of = live.false_answers, live.country_of
        state.quality, state.is_database_away = live.quality, live.is_database_away
        state.unregistered, state.blocks = live.unregistered, blocks or live.blocks
        state.turns = live.turns.copied()
        state.pool_turns = live.pool_turns.copied()
        state.occupancy = RehearsedPlaces(live.occupancy)
        state.dynamic_lists = RehearsedLists(live.dynamic_lists)
        self.admission = Admission(catalogue, state)
        self._turns, self._pool_turns = live.turns, live.pool_turns
        search = steps.index(Admission.find_routes) if Admission.find_routes in steps else len(steps)
        noted = (*map(self._noted, steps[:search]), self._note_turns, *map(self._noted, steps[search:]))
        self._steps: tuple[Step, ...] = noted
        self.reached: list[str] = []
        """Names of the steps that were begun; a refusal is that of the last one."""
        self.questions: list[SetupQuestion] = []
        """Questions that a real call would ask; here every one counts as unanswered."""

    def put_through(self, call_request: CallRequest) -> Refusal | None:
        """Run the steps for a call; return its refusal, None = it would be carried."""
        setup = Setup(self.admission, call_request, iter(self._steps))
        outcome = setup.advance()
        while isinstance(outcome, Ask):
            self.questions.append(outcome.question)
            outcome = setup.settle(Unanswered("the call is not made"), call_request.at)
        return outcome

    def _noted(self, step: Step) -> Step:
        def run(admission: Admission, call_request: CallRequest) -> Outcome:
            self.reached.append(step.__name__)
            return step(admission, call_request)

        return run

    def _note_turns(self, _admission: Admission, _call_request: CallRequest) -> None:
        """Note the turns of number pools before the search for routes: the mapping gateway may have taken one."""
        self._pool_turns = self.admission.live.pool_turns.copied()

    def vendors(self) -> LiveVendors:
        """Return the vendors as the call found them: the steps have moved the turns of those that share calls."""
        live = self.admission.live
        live.turns, live.pool_turns = self._turns.copied(), self._pool_turns.copied()
        return LiveVendors(self.admission.catalogue, live)
