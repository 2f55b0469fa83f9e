"""Calls whose set-up asks two questions, with answers, deadlines, CANCEL, retransmissions and reloads in any order.

Whatever happens, every call has one final response and one record that says the same, every question is settled once,
and everything that a call has taken is given back once: a place that is given back twice raises an error.
"""

from typing import Any

from doubles.asking_steps import DEADLINE_MS, Located, ScriptedAsker, Unfit, looking_up, steps_with
from doubles.conformance import faults_of
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.exploring import examples
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, usual_catalogue, vendor_gateway
from hypothesis import given, settings, strategies as st
from structlog.testing import capture_logs

from vosd.b2bua.ports import SetupAnswer
from vosd.base.cause import EndReason
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.questions import SetupQuestion, Step, Ticket, Unanswered
from vosd.callcontrol.setup import STEPS
from vosd.engine.calls.open_setup import UnusedAnswer

TALK_MS = 5_000
CATALOGUES = {
    "usual": usual_catalogue(),
    "empty": catalogue([]),
    "limited": catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32", max_concurrent=2, max_cps=3), vendor_gateway(0)],
        accounts=[account("acme", max_concurrent=1)],
    ),
}
ANSWERS: dict[str, SetupAnswer] = {
    "found": Located("442071111111"),
    "blocked": Located(""),
    "unrated": Located("33"),
    "unfit": Unfit(),
    "none": Unanswered("tried in vain"),
}
PLACES = [*STEPS[1:], None]

deeds = st.one_of(
    st.just(("call",)),
    st.tuples(st.just("wait"), st.sampled_from([1, 50, 400, DEADLINE_MS // 2, DEADLINE_MS - 10, DEADLINE_MS + 10])),
    st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(sorted(ANSWERS))),
    st.tuples(st.just("answer wrongly"), st.integers(0, 9), st.integers(-1, 3)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("repeat the INVITE"), st.integers(0, 9)),
    st.tuples(st.just("reload"), st.sampled_from(sorted(CATALOGUES))),
    st.tuples(st.just("end all"), st.sampled_from([EndReason.ADMINISTRATIVE, EndReason.SHUTDOWN])),
)


class Counting(ScriptedAsker):
    """Answers some questions at once, and knows which are open."""

    def __init__(self, known: list[str | None]) -> None:
        super().__init__(self._known)
        self._answers = known
        self.open: set[Ticket] = set()

    def _known(self, ticket: Ticket, _question: SetupQuestion) -> SetupAnswer | None:
        at_once = self._answers[len(self.asked) % len(self._answers)]
        if at_once is None:
            self.open.add(ticket)
            return None
        return ANSWERS[at_once]

    def cancel(self, ticket: Ticket, *, is_overdue: bool = False) -> None:
        super().cancel(ticket)
        self.open.remove(ticket)


class Story:
    """One switch and what happens to its calls."""

    def __init__(self, steps: tuple[Step, ...], asker: Counting) -> None:
        self.asker = asker
        self.scene = Scene(steps=steps, asker=asker)
        self.exchange, self.wire = self.scene.exchange, self.scene.wire
        self.calls: list[OutgoingCall] = []
        self.late = 0

    def do(self, kind: str, *what: Any) -> None:
        getattr(self, f"do_{kind.replace(' ', '_').lower()}")(*what)

    def do_call(self) -> None:
        self.calls.append(self.scene.caller.call(CALLEE, Intent(hang_up_after_ms=TALK_MS)))

    def do_wait(self, ms: int) -> None:
        self.wire.run_for(ms)

    def do_answer(self, number: int, answer: str) -> None:
        if self.asker.asked:
            ticket = self.asker.asked[number % len(self.asker.asked)].ticket
            if ticket in self.asker.open:
                self.asker.open.remove(ticket)
            else:
                self.late += 1
            self.exchange.take_answer(ticket, ANSWERS[answer])

    def do_answer_wrongly(self, number: int, off: int) -> None:
        if self.asker.asked:
            ticket = self.asker.asked[number % len(self.asker.asked)].ticket
            wrong = ticket._replace(number=ticket.number + 10 + off) if off else Ticket("of no call", 1)
            self.exchange.take_answer(wrong, ANSWERS["found"])
            self.late += 1

    def do_cancel(self, number: int) -> None:
        if self.calls:
            self.calls[number % len(self.calls)].cancel()

    def do_repeat_the_invite(self, number: int) -> None:
        waiting = [call for call in self.calls if call.final is None and not call.is_over]
        if waiting:
            waiting[number % len(waiting)].invite_again()

    def do_reload(self, name: str) -> None:
        self.exchange.swap_catalogue(CATALOGUES[name])

    def do_end_all(self, reason: EndReason) -> None:
        self.exchange.end_all(reason)

    def judge(self) -> None:
        self.wire.run_until(lambda: not self.exchange.switch.has_calls)
        self.wire.run_for(40_000)
        assert self.exchange.leftovers() == {}
        assert self.exchange.residue() == {}
        assert self.asker.open == set()
        assert self.exchange.switch.services.unused_answers[UnusedAnswer.LATE] == self.late
        assert faults_of(self.wire.packets, SWITCH) == []
        records = {record.sip_call_id_in: record for record in self.exchange.sink.records}
        assert len(records) == len(self.exchange.sink.records)
        for call in self.calls:
            assert call.is_over
            finals = [status for status in call.statuses if status >= 200]
            assert len(finals) == (call.call_id in records)
            if finals:
                assert records[call.call_id].sip_code == finals[0]


@settings(max_examples=examples(72, 2_000))
@given(
    first=st.sampled_from(PLACES),
    second=st.sampled_from(PLACES),
    otherwise=st.booleans(),
    known=st.lists(st.sampled_from([None, None, None, *sorted(ANSWERS)]), min_size=1, max_size=5),
    happens=st.lists(deeds, min_size=1, max_size=30),
)
def test_every_call_ends_once_and_leaves_nothing(first, second, otherwise, known, happens):
    terms = {} if otherwise else {"otherwise": None}
    steps = list(steps_with(looking_up(**terms), before=first))
    steps.insert(len(steps) if second is None else steps.index(second), looking_up())
    assert steps[0] is Admission.identify
    story = Story(tuple(steps), Counting(known))
    with capture_logs() as logs:
        story.do("call")
        for each in happens:
            story.do(*each)
        story.judge()
    assert [each for each in logs if "mistake" in each["event"]] == []
