"""A switch on the virtual wire that is killed or stopped, and the next one, which has only the journal (ADR 67)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from doubles.virtual.exchange import SWITCH, KeptSink
from doubles.virtual.scene import Scene
from doubles.virtual.wire import Clockwork
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import Description, OpenCall
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import CallRecord
from vosd.engine.calls.leftovers import Leftovers, Placements
from vosd.engine.calls.succession import begin, go_on
from vosd.engine.earlier_run import hand_on
from vosd.engine.journal import Journal
from vosd.engine.journal.files import IN_USE, listed
from vosd.engine.journal.journal import SEGMENT_BYTES
from vosd.engine.node import Node
from vosd.engine.settings import TraceSettings
from vosd.sip.settings import SipSettings

from .journals import new_journal
from .successor import replace_node, without_holds

MARK_MS: Final = 1_000
SMALL_BYTES: Final = 30_000
"""For small files of the journal, so that a kill may come while a new one is filled.

It hides what is written down once alone: a new file has the calls as they are then.
"""
BOOT: Final = "one boot"


class JournalSink(KeptSink):
    """Sink of calls that writes a journal beside what it keeps for the test."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal

    def answered(self, call: OpenCall, description: Description) -> bool:
        """Write an answered call."""
        return super().answered(call, description) and self.journal.answered(call, description)

    def acknowledged(self, call_id: str, mono: int) -> None:
        """Write it with the next mark."""
        self.journal.acknowledged(call_id, mono)

    def moved(self, call_id: str, *, at_once: bool = False) -> None:
        """Write a call as it is now."""
        self.journal.moved(call_id, at_once=at_once)

    def answered_in_vain(self, call_id: str, sip_call_id: str) -> None:
        """Write that a late answer has its record."""
        self.journal.answered_in_vain(call_id, sip_call_id)

    def has_ended(self, call_id: str) -> bool:
        """Return whether the journal has a record of this id that waits."""
        return self.journal.has_ended(call_id)

    def ended(self, record: CallRecord) -> None:
        """Write an ended call."""
        self.journal.ended(record)
        super().ended(record)

    def flush(self) -> None:
        """Write what waits."""
        self.journal.flush()


class KilledScene(Scene):
    """A scene whose switch can be killed."""

    def __init__(
        self,
        directory: Path,
        *content: Any,
        within_s: int = 300,
        boot: str = BOOT,
        segment_bytes: int = SEGMENT_BYTES,
        **terms: Any,
    ) -> None:
        """The journal may have calls of another scene; ``boot`` identifies the boot of the machine."""
        super().__init__(*content, **terms)
        self._segment_bytes = segment_bytes
        self.directory, self._within_s = directory, within_s
        self.is_down = False
        self.content: Catalogue | None = None
        """The catalogue of the next switch; None = that of the one before."""
        self._boot = boot
        self.synced_bytes = 0
        """Of the newest file, with its latest mark."""
        self.lost: list[CallRecord] = []
        """Records of calls that could not be continued."""
        self.is_database_away = False
        """Whether all that has ended waits for its booking over kills; else it is booked before the next process."""
        self.balances = {name: without_holds(credit) for name, credit in self.exchange.credits.items()}
        self._receive = self.exchange._receive
        self.wire.attach(SWITCH, lambda packet: None if self.is_down else self.exchange._receive(packet))
        self._begin(None)
        self._mark()

    def _begin(self, before: Node | None) -> None:
        exchange, now = self.exchange, self.exchange.clock.now()
        journal = new_journal(self.directory, segment_bytes=self._segment_bytes)
        remains = journal.open()
        sink = self.sink = JournalSink(journal)
        sink.records, sink.all_records = exchange.sink.records, exchange.sink.all_records
        sink.late_answers = exchange.sink.late_answers
        exchange.sink = sink
        exchange.credits = {name: without_holds(balance) for name, balance in self.balances.items()}
        for record in sink.all_records:
            for posting in record.postings:
                exchange.credits[posting.account].post(posting.amount)
        old = exchange.node
        exchange.media = exchange.new_media(old.endpoint.flows.listeners)
        exchange.surroundings = exchange.surroundings._replace(
            sink=sink, credits=exchange.credits, placed=(placements := Placements(journal)), media=exchange.media
        )
        sip, listeners = SipSettings(product="vosd/test"), old.endpoint.flows.listeners
        content = self.content or old.switch.catalogue
        node = Node("sw1", sip, TraceSettings(), listeners, content, exchange.surroundings)
        exchange.take_node(node)
        placements.services = node.switch.services
        journal.describe = node.switch.continuation.describe
        begin(remains, journal, node.endpoint.flows, self._boot, now)
        go_on(remains, journal, node.switch.continuation, self._within_s, now, now)
        exchange.media.calls.all_resumed(now)
        sink.open.update(journal._open_calls)
        if self.is_database_away:
            for record in remains.unbooked.values():
                journal.ended(record)
        for call in remains.open_calls.values():
            record = lost(call, remains.last_mono)
            journal.ended(record)
            sink.records.append(record)
            sink.all_records.append(record)
            self.lost.append(record)
            for posting in record.postings:
                exchange.credits[posting.account].post(posting.amount)
        leftovers = Leftovers(
            node.endpoint, journal, exchange.clock, lambda _now: None, node.switch.services, self._keep
        )
        leftovers.adopt(remains)
        while leftovers:
            leftovers.ask_some(now)
        self.leftovers = leftovers
        journal.settle()
        self.synced_bytes = journal._output._end
        exchange.flush()

    def _keep(self, record: CallRecord) -> None:
        """Keep the record of a call of an earlier process."""
        for posting in record.postings:
            self.exchange.credits[posting.account].post(posting.amount)
        self.exchange.sink.ended(record)

    def kill(
        self, away_ms: int = 0, tear: Callable[["KilledScene", Path], None] | None = None, *, then_ms: int = 0
    ) -> None:
        """Kill the switch; start the next one after ``away_ms``, and go on until ``then_ms`` after the kill.

        ``tear`` may cut what was not synced.
        """
        self.is_down = True
        journal = self.sink.journal
        journal._output.backlog = 0
        journal._output._buffer.clear()
        if tear is not None:
            tear(self, listed(self.directory, IN_USE)[-1])
        self._start_after(away_ms, then_ms)

    def stop_and_keep(self, away_ms: int = 0, *, then_ms: int = 0) -> None:
        """Stop the switch as with ``on_sigterm: keep``; start the next one as ``kill`` does."""
        self.is_down = True
        now = self.exchange.clock.now()
        self.exchange.switch.continuation.open_doors(now)
        self.exchange.flush()
        kept = self.exchange.switch.continuation.keep()
        self.leftovers.note_over(now)
        hand_on(self.sink.journal, kept, now)
        self.sink.journal.close()
        self._start_after(away_ms, then_ms)

    def _start_after(self, away_ms: int, then_ms: int) -> None:
        self.wire._clockworks.clear()
        self.wire.after(away_ms, self._start)
        if then_ms:
            self.wire.run_for(then_ms)

    def _start(self) -> None:
        self.is_down = False
        self._begin(self.exchange.node)
        self.wire.drive(Clockwork(self.exchange._next_due, self.exchange._fire))

    def _mark(self) -> None:
        if not self.is_down:
            self.leftovers.note_over(self.exchange.clock.now())
            self.sink.journal.tick(self.exchange.clock.now(), has_calls=self.exchange.switch.has_calls)
            self.synced_bytes = self.sink.journal._output._end
        self.wire.after(MARK_MS, self._mark)


def interrupt(scene: Any) -> None:
    """Let a switch be interrupted as the ``how`` of its scene says; calls that go on after a kill are refreshed."""
    match scene.how:
        case "is replaced":
            replace_node(scene)
        case "is killed":
            scene.kill()
        case "is stopped":
            scene.stop_and_keep()
    scene.wire.run_for(5_000)
