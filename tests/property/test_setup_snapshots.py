"""A call whose set-up waits for an answer goes on as the original when it is made again from its snapshot (ADR 39).

Each story of ``test_switch_setup`` is told twice. The second time the switch is replaced, between any two of its deeds,
by one that was given the encoded snapshot: places and money are occupied, the deadline stands, the question is asked
again. Reloads are left out, because a restored set-up uses the catalogue of its new process.
"""

from itertools import count
from typing import Any

import test_switch_setup as setups
from doubles.asking_steps import Asked, looking_up, steps_with
from doubles.exploring import examples
from doubles.successor import replace_node
from doubles.virtual import customer, ua, vendor
from hypothesis import given, settings, strategies as st

from vosd.b2bua.ports import SetupAnswer
from vosd.callcontrol.questions import SetupQuestion, Step, Ticket


class AskedAgain(setups.Counting):
    """Is asked the open questions again by a switch that takes the place of another one."""

    def __init__(self, known: list[str | None]) -> None:
        super().__init__(known)
        self.expected: set[Ticket] = set()

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        if ticket not in self.expected:
            return super().ask(ticket, question)
        self.expected.remove(ticket)
        assert Asked(ticket, question) in self.asked
        return None


class ToldTwice(setups.Story):
    """A story in which the switch may be replaced."""

    def __init__(self, steps: tuple[Step, ...], asker: AskedAgain, *, replaced: bool) -> None:
        customer._numbers = vendor._numbers = ua._numbers = count(1)
        super().__init__(steps, asker)
        self.again = asker
        self.replaced = replaced

    def do_replace(self) -> None:
        if self.replaced:
            unused = self.exchange.switch.services.unused_answers
            self.again.expected = set(self.again.open)
            replace_node(self.scene)
            assert self.again.expected == set()
            self.exchange.switch.services.unused_answers.update(unused)

    def outcome(self) -> tuple[Any, ...]:
        packets = [(packet.sent_at, packet.source, packet.target, packet.data) for packet in self.wire.packets]
        credits = {name: credit.available for name, credit in self.exchange.credits.items()}
        unused = self.exchange.switch.services.unused_answers
        return packets, self.exchange.sink.records, self.asker.asked, self.asker.cancelled, credits, unused


deeds = st.just(("replace",)) | setups.deeds.filter(lambda deed: deed[0] != "reload")


@settings(max_examples=examples(90, 1_500), deadline=None)
@given(
    first=st.sampled_from(setups.PLACES),
    second=st.sampled_from(setups.PLACES),
    otherwise=st.booleans(),
    known=st.lists(st.sampled_from([None, None, None, *sorted(setups.ANSWERS)]), min_size=1, max_size=5),
    happens=st.lists(deeds, min_size=1, max_size=20),
)
def test_a_set_up_that_waits_goes_on_as_the_original(first, second, otherwise, known, happens):
    steps = list(steps_with(looking_up(**({} if otherwise else {"otherwise": None})), before=first))
    steps.insert(len(steps) if second is None else steps.index(second), looking_up())
    outcomes = []
    for replaced in (False, True):
        story = ToldTwice(tuple(steps), AskedAgain(known), replaced=replaced)
        for each in [("call",), *happens, ("replace",)]:
            story.do(*each)
        story.judge()
        outcomes.append(story.outcome())
    assert outcomes[1] == outcomes[0]
