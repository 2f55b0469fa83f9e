"""What finished transactions leave: rows that expire together, by timers on the wheel of the retransmissions."""

from doubles.virtual.probe import CUSTOMER

from vosd.base.clock import Instant
from vosd.sip.settings import Timers
from vosd.sip.transaction import finished as finished_transactions
from vosd.sip.transaction.entries import Mark
from vosd.sip.transaction.pace import OF_REQUEST, OF_SUCCESS
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.outgoing import Datagram, ResponseStem

NOW = Instant(10_000, 0)
STAY_MS = 32_000


class Sender:
    """Retransmits for ever."""

    def timer_due(self, now: Instant) -> None:
        assert now.mono >= NOW.mono

    def transport_failed(self, now: Instant) -> None:
        raise AssertionError(now)


def store() -> TransactionStore:
    return TransactionStore(Timers())


def let_pass(kept_in: TransactionStore, ms: int) -> None:
    now = NOW.plus(ms)
    for owner in kept_in.wheel.expire(now.mono):
        owner.timer_due(now)


def test_a_row_is_kept_for_its_time_and_at_most_a_tick_longer():
    finished = (kept_in := store()).finished
    finished.keep("key", Mark.ABSORB, STAY_MS, NOW.plus(1))
    let_pass(kept_in, STAY_MS)
    assert finished.get("key") is Mark.ABSORB
    let_pass(kept_in, STAY_MS + 500)
    assert finished.get("key") is None
    assert len(finished) == finished.timers == len(kept_in.wheel) == 0
    assert kept_in.wheel.next_due() is None


def test_rows_that_expire_in_one_tick_need_one_timer_whatever_timer_they_wait_for():
    finished = (kept_in := store()).finished
    finished.keep("long", Mark.CLOSED_DIALOG, STAY_MS, NOW)
    finished.keep("short", Mark.ABSORB, 5_000, NOW.plus(STAY_MS - 5_000))
    assert len(kept_in.wheel) == finished.timers == 1
    let_pass(kept_in, STAY_MS)
    assert len(finished) == 0


def test_long_answers_are_kept_up_to_so_many_bytes_and_their_marks_as_long(monkeypatch):
    """Peers decide how long answers are: they repeat the Vias of their requests."""
    monkeypatch.setattr(finished_transactions, "LONG_BYTES_MAX", 10_000)
    finished = (kept_in := store()).finished
    long, short = Datagram(CUSTOMER, b"SIP/2.0 ".ljust(4_000)), Datagram(CUSTOMER, b"SIP/2.0 ".ljust(2_048))
    acknowledgement = Datagram(CUSTOMER, b"ACK ".ljust(4_000))
    """It says which fork was answered already: each repetition of a late 200 would be another one, and cost again."""
    finished.keep("first", long, STAY_MS, NOW)
    finished.keep_until("second", long, NOW.mono + STAY_MS)
    for key, message in (("third", long), ("short", short)):
        finished.keep(key, message, STAY_MS, NOW)
    assert [finished.get(key) for key in ("first", "second", "third", "short")] == [long, long, Mark.ABSORB, short]
    let_pass(kept_in, STAY_MS)
    assert (len(finished), finished.long_bytes) == (0, 0)
    finished.keep("later", long, STAY_MS, NOW)
    assert finished.get("later") is long
    for key in ("fourth", "ACK"):
        finished.keep(key, long if key == "fourth" else acknowledgement, STAY_MS, NOW)
    finished.keep("fifth", long, STAY_MS, NOW)
    assert [finished.get(key) for key in ("fourth", "ACK", "fifth")] == [long, acknowledgement, Mark.ABSORB]
    finished.clear()
    assert finished.long_bytes == 0


def test_all_answers_are_kept_up_to_so_many_bytes(monkeypatch):
    """A peer within its limits can ask for hundreds of megabytes of them in 64·T1."""
    monkeypatch.setattr(finished_transactions, "BYTES_MAX", 10_000)
    finished = (kept_in := store()).finished
    short, long = Datagram(CUSTOMER, b"SIP/2.0 ".ljust(2_000)), Datagram(CUSTOMER, b"SIP/2.0 ".ljust(4_000))
    acknowledgement = Datagram(CUSTOMER, b"ACK ".ljust(1_000))
    finished.keep("1", long, STAY_MS, NOW)
    finished.keep("2", short, STAY_MS, NOW, also="2 copies")
    finished.keep("3", short, 5_000, NOW)
    finished.keep_until("4", acknowledgement, NOW.mono + STAY_MS)
    for key, message in (("5", short), ("6", long)):
        finished.keep(key, message, STAY_MS, NOW)
    finished.keep_until("7", short, NOW.mono + STAY_MS)
    finished.keep("8", acknowledgement, STAY_MS, NOW)
    finished.keep("9", acknowledgement, STAY_MS, NOW)
    kept = [finished.get(str(number)) for number in range(1, 10)]
    marks = [Mark.ABSORB] * 3
    assert kept == [long, short, short, acknowledgement, *marks, acknowledgement, acknowledgement]
    assert finished.kept_bytes == 11_000
    let_pass(kept_in, 5_500)
    assert finished.kept_bytes == 9_000
    finished.keep("10", Datagram(CUSTOMER, b"SIP/2.0 ".ljust(1_000)), STAY_MS, NOW)
    assert isinstance(finished.get("10"), Datagram)
    let_pass(kept_in, STAY_MS + 500)
    assert (len(finished), finished.kept_bytes, finished.long_bytes) == (0, 0, 0)


def test_long_failures_that_wait_for_their_ack_are_counted_too(monkeypatch):
    """Beyond the bytes they are sent once; copies of their INVITE are absorbed as long."""
    monkeypatch.setattr(finished_transactions, "LONG_BYTES_MAX", 10_000)
    kept_in = store()
    stem = ResponseStem(b"v: x\r\n".ljust(4_000, b"x"), b"", CUSTOMER, tagged=True, cseq="1 INVITE")
    servers = [InviteServer.received(kept_in, f"{number} INVITE", stem, f"{number} copies") for number in range(3)]
    for server in servers:
        server.respond(100, "", "", NOW)
        server.respond(403, "tag", "", NOW)
    assert [server.is_over for server in servers] == [False, True, True]
    assert servers[0].last is None
    assert kept_in.finished.get("1 INVITE") is Mark.ABSORB
    assert len([each for each in kept_in.out if b" 403 " in each.data[:20]]) == 3
    let_pass(kept_in, 100)
    assert kept_in.finished.long_bytes > 0
    servers[0].acknowledged(NOW)
    let_pass(kept_in, STAY_MS + 500)
    assert (len(kept_in.servers), len(kept_in.merging), len(kept_in.finished)) == (0, 0, 0)
    assert kept_in.finished.long_bytes == 0


def test_two_keys_for_one_row_expire_together():
    finished = (kept_in := store()).finished
    finished.keep("branch", Mark.ACCEPTED, STAY_MS, NOW, also="copies")
    assert finished.get("branch") is finished.get("copies") is Mark.ACCEPTED
    let_pass(kept_in, STAY_MS)
    assert len(finished) == 0


def test_what_is_kept_can_be_kept_again_elsewhere_until_the_same_instant():
    before, after = store(), store()
    before.finished.keep("short", Mark.ABSORB, 5_000, NOW)
    before.finished.keep("message", Datagram(CUSTOMER, b"ACK"), STAY_MS, NOW)
    for row in before.finished.kept():
        after.finished.keep_until(*row)
    assert list(after.finished.kept()) == list(before.finished.kept())
    let_pass(after, 5_000)
    assert [key for key, _, _ in after.finished.kept()] == ["message"]


def test_a_retransmission_that_is_stopped_leaves_nothing_on_the_wheel():
    kept_in, sender = store(), Sender()
    retries = [Retry(kept_in, CUSTOMER, b"data") for _ in range(2)]
    for retry, pace in zip(retries, (OF_REQUEST, OF_SUCCESS), strict=True):
        retry.begin(sender, pace, NOW)
    assert len(kept_in.wheel) == 2
    for retry in retries:
        retry.stop(sender)
        retry.stop(sender)
    assert len(kept_in.wheel) == 0
    assert kept_in.wheel.next_due() is None
    assert kept_in.out == [Datagram(CUSTOMER, b"data")] * 2


def test_a_retransmission_is_set_again_under_the_same_timer():
    kept_in, sender = store(), Sender()
    retry = Retry(kept_in, CUSTOMER, b"data")
    retry.begin(sender, OF_REQUEST, NOW)
    assert kept_in.wheel.position(retry) == (1_050, 0)
    assert list(kept_in.wheel.expire(10_500)) == [sender]
    assert retry.due(sender, NOW.plus(500))
    assert kept_in.wheel.position(retry) == (1_150, 0)
    assert len(kept_in.out) == 2


def test_long_answers_that_were_forgotten_are_not_subtracted_from_later_ones():
    """A start that cannot go on with a saved switch forgets what it has taken up, and begins anew."""
    kept_in = store()
    assert kept_in.finished.reserve(2_000, "before", STAY_MS, NOW)
    kept_in.clear()
    assert kept_in.finished.reserve(500, "after", STAY_MS, NOW)
    let_pass(kept_in, STAY_MS + 500)
    assert (kept_in.finished.long_bytes, kept_in.finished.kept_bytes) == (0, 0)
