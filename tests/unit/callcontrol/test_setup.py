"""The steps of a set-up by themselves: what is taken, what is given back, and how a question interrupts them."""

import pytest
from doubles.asking_steps import TOO_LATE, Located, Unfit, WhereIs, looking_up
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission, StepOutOfOrderError
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.questions import Ask, CannotAsk, Ticket, Unanswered
from vosd.callcontrol.setup import Setup

NOW = Instant(1_000, 1_790_000_000_000)
CONTENT = catalogue([mapping_gateway("acme", "192.0.2.10/32"), routing_gateway("vendor", "44")])
NO = Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, "no")


class Dialled:
    context = ""
    is_withheld = False

    def called(self, _source):
        return "442012"

    def calling(self, _order):
        return "1000"


class Recorded:
    """Something taken that says when it is given back."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def give_back(self):
        self.log.append(f"{self.name} given back")

    def undo(self):
        self.log.append(f"{self.name} undone")


def request():
    return CallRequest("192.0.2.10", 5060, 69, at=NOW, numbers=Dialled(), user="acme")


def taking(log, *names):
    def take(_admission, call):
        call.taken.extend(Recorded(name, log) for name in names)

    return take


def setup_of(*steps):
    return Setup(Admission(CONTENT, LiveState()), request(), iter(steps))


def refuse(_admission, _call):
    return NO


def test_a_refused_call_gives_back_in_reverse_what_it_has_taken_and_does_so_once():
    log = []
    setup = setup_of(taking(log, "first"), taking(log, "second", "third"), refuse, taking(log, "never"))
    assert setup.advance() == NO
    assert log == ["third undone", "second undone", "first undone"]
    setup.call_request.give_back()
    setup.call_request.undo()
    assert len(log) == 3


def test_a_call_that_is_over_gives_back_in_reverse_what_it_has_taken_and_does_so_once():
    log = []
    setup = setup_of(taking(log, "first"), taking(log, "second"))
    assert setup.advance() is None
    assert log == []
    for _ in range(2):
        setup.call_request.give_back()
    assert log == ["second given back", "first given back"]


def test_what_fails_to_be_given_back_is_not_given_back_twice():
    log = []

    class Broken(Recorded):
        def give_back(self):
            super().give_back()
            raise RuntimeError

    call = request()
    call.taken = [Recorded("first", log), Broken("second", log)]
    with pytest.raises(RuntimeError):
        call.give_back()
    call.give_back()
    assert log == ["second given back", "first given back"]


def test_a_question_interrupts_the_steps_and_its_answer_goes_on_with_the_next():
    log = []
    setup = setup_of(Admission.identify, looking_up(), taking(log, "place"), looking_up())
    first = setup.advance()
    assert isinstance(first, Ask)
    assert (first.question, setup.asked is first, setup.number) == (WhereIs("442012"), True, 1)
    second = setup.settle(Located("4420"), Instant(1_500, NOW.wall + 499))
    assert isinstance(second, Ask)
    assert (second.question, setup.number, len(setup.call_request.taken)) == (WhereIs("4420"), 2, 1)
    assert setup.call_request.at == Instant(1_500, NOW.wall), "rates are those of the INVITE, limits those of now"
    assert setup.settle(Located("4421"), NOW) is None
    assert (setup.call_request.callee, setup.asked) == ("4421", None)


@pytest.mark.parametrize("answer", [Unanswered("503"), Unfit()])
@pytest.mark.parametrize("otherwise", [None, TOO_LATE])
def test_without_a_fitting_answer_what_the_step_says_otherwise_holds(answer, otherwise):
    log = []
    setup = setup_of(Admission.identify, taking(log, "place"), looking_up(otherwise))
    assert isinstance(setup.advance(), Ask)
    assert setup.settle(answer, NOW) == otherwise
    assert log == ([] if otherwise is None else ["place undone"])


def test_an_answer_without_a_question_is_a_mistake():
    setup = setup_of(Admission.identify, looking_up())
    setup.advance()
    setup.settle(Located("44"), NOW)
    with pytest.raises(StepOutOfOrderError, match="no question is open"):
        setup.settle(Located("44"), NOW)


NEED_WHAT_IDENTIFY_FINDS = (
    Admission.check_open,
    Admission.check_gateway,
    Admission.check_account,
    Admission.find_sell_rate,
    Admission.find_routes,
    Admission.take_hold,
)


@pytest.mark.parametrize("step", NEED_WHAT_IDENTIFY_FINDS)
def test_a_step_before_identify_is_a_mistake(step):
    with pytest.raises(StepOutOfOrderError):
        setup_of(step).advance()


def test_a_call_is_identified_once():
    setup = setup_of(Admission.identify, Admission.identify)
    setup.call_request.numbers = None
    with pytest.raises(StepOutOfOrderError, match="identified already"):
        setup.advance()


def test_a_switch_that_cannot_ask_says_so():
    answer = CannotAsk().ask(Ticket("call", 1), WhereIs("44"))
    assert answer == Unanswered("nothing answers WhereIs here")
