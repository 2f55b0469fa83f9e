"""Write down the calls of a switch in production (``callcontrol.ports.CallSink``)."""

from collections.abc import Callable

from vosd.cdr.record import CallRecord
from vosd.engine.booking.database_watch import DatabaseWatch
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal


class CallKeeper:
    """The journal, and the recorder that books what has ended."""

    def __init__(
        self, journal: Journal, recorder: Recorder, watch: DatabaseWatch, count: Callable[[CallRecord], None]
    ) -> None:
        """``count`` is called with every ended call before it is kept."""
        self._journal = journal
        self._recorder = recorder
        self._watch = watch
        self._count = count
        self.answered, self.acknowledged = journal.answered, journal.acknowledged
        self.moved, self.answered_in_vain = journal.moved, journal.answered_in_vain
        self.has_ended = journal.has_ended

    @property
    def refuses_calls(self) -> bool:
        """Whether no new call may be taken: the disk of the journal is full, or the database has lost commits."""
        return self._watch.refuses_calls or self._journal.is_overfull

    def ended(self, record: CallRecord) -> None:
        """Count an ended call, journal it, and book it."""
        self._count(record)
        self._journal.ended(record)
        self._recorder.add(record)
