"""The usual stage with a switch whose calls ask where their number is; the test answers."""

from typing import Any

from doubles.asking_steps import AtOnce, ScriptedAsker, in_time, looking_up, steps_with
from doubles.conformance import faults_of
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, Scene
from vosd.b2bua.ports import SetupAnswer
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.questions import Step
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import CallRecord
from vosd.engine.calls.open_setup import UnusedAnswer


class WaitingScene(Scene):
    """The stage, and the questions that were asked on it."""

    def __init__(
        self,
        content: Catalogue | None = None,
        *steps: Step,
        at_once: AtOnce = in_time,
        before: Step | None = Admission.find_sell_rate,
        **terms: Any,
    ) -> None:
        """Without ``steps`` there is one that asks; ``terms`` are what ``looking_up`` takes."""
        self.asker = ScriptedAsker(at_once)
        all_steps = steps_with(*(steps or (looking_up(**terms),)), before=before)
        super().__init__(content, steps=all_steps, asker=self.asker)

    def call(self, callee: str = CALLEE, **intent: Any) -> OutgoingCall:
        """Make a call, and let it come as far as its question; ``intent`` is what ``Intent`` takes."""
        made = self.caller.call(callee, Intent(**intent))
        self.wire.run_for(50)
        return made

    def answer(self, answer: SetupAnswer, asked: int = -1) -> None:
        """Answer the latest question, or another one."""
        self.exchange.take_answer(self.asker.asked[asked].ticket, answer)
        self.wire.run_for(50)

    @property
    def unused_answers(self) -> dict[UnusedAnswer, int]:
        """Answers that were not used, by why."""
        return dict(self.exchange.switch.services.unused_answers)

    def finish(self, call: OutgoingCall) -> CallRecord:
        """Let the caller talk a second and hang up, and close."""
        self.wire.run_until(lambda: call.final == 200)
        self.wire.run_for(1_000)
        return super().finish(call)

    def close(self) -> CallRecord:
        """Require that nothing is left and that no peer found a fault, and return the one record."""
        record = super().close()
        assert faults_of(self.wire.packets, SWITCH) == []
        return record
