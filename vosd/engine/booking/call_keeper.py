"""Write down the calls of a switch in production (``callcontrol.ports.CallSink``)."""

from vosd.callcontrol.open_call import Description, OpenCall
from vosd.cdr.record import CallRecord
from vosd.engine.booking.database_watch import DatabaseWatch
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal


class CallKeeper:
    """The journal, and the recorder that books what has ended."""

    def __init__(self, journal: Journal, recorder: Recorder, watch: DatabaseWatch) -> None:
        self._journal = journal
        self._recorder = recorder
        self._watch = watch

    @property
    def refuses_calls(self) -> bool:
        """Whether no new call may be taken: the disk of the journal is full, or the database has lost commits."""
        return self._watch.refuses_calls or self._journal.is_overfull

    def answered(self, call: OpenCall, description: Description) -> bool:
        """Journal an answered call; False where that fails."""
        return self._journal.answered(call, description)

    def acknowledged(self, call_id: str, mono: int) -> None:
        """Journal with the next mark when the caller acknowledged our 200."""
        self._journal.acknowledged(call_id, mono)

    def moved(self, call_id: str, *, at_once: bool = False) -> None:
        """Journal an answered call as it is now."""
        self._journal.moved(call_id, at_once=at_once)

    def ended(self, record: CallRecord) -> None:
        """Journal an ended call, and book it."""
        self._journal.ended(record)
        self._recorder.add(record)
