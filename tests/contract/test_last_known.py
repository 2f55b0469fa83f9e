"""The copy of balances and registrations for a start without the database."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import structlog
from doubles.closed import closed
from doubles.data.registering import register_request
from doubles.memory.registrations import MemoryRegistrations
from doubles.virtual.clock import ManualClock

from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.engine.registration.bindings import AT_ONCE, RegistrantKind, Registrations, unreported
from vosd.engine.registration.writer import RegistrationWriter
from vosd.sip.flows import Flows, Listener
from vosd.sip.ports import BindingKey, StoredBinding
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.outgoing import Peer
from vosd.storage import last_known
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.last_known import LastKnown

ACME = LastStanding("acme", Decimal("-12.34567891"), 7, 1_790_000_000_000, "EUR")
CARRIER = LastStanding("carrier", Decimal(0), 0, None, None)

UNFIT = "sip:1001@unfit.example"


def binding(slot: int, contact: str = "sip:1001@192.0.2.1") -> StoredBinding:
    return StoredBinding(
        "1001", slot, contact, 1_000, "call-1", 5, 1_790_000_000_000, 1_790_000_360_000, 120, "udp:192.0.2.9:5060",
        "192.0.2.1", 5060, ("sip:edge",), "", 0, "phone",
    )  # fmt: skip


class Away(MemoryRegistrations):
    """A database that does not answer, unless it ``is_back``."""

    is_back = False

    async def load(self):
        if not self.is_back:
            raise StoreUnavailable("away")
        return await super().load()

    async def save(self, bindings, gone):
        if not self.is_back:
            raise StoreUnavailable("away")
        await super().save(bindings, gone)


class Refusing(MemoryRegistrations):
    """A database that takes no binding of one contact."""

    async def save(self, bindings, gone):
        if any(each.contact == UNFIT for each in bindings):
            raise ContentRefused("it does not fit")
        await super().save(bindings, gone)


def beside(copy, database, *, is_newest=True):
    return copy.beside(database, lambda: is_newest)


async def written(store, bindings, gone=()):
    """Write as the writer does: to the copy, then to the database."""
    await store.note(bindings, gone)
    await store.save(bindings, gone)


@asynccontextmanager
async def started_again(tmp_path):
    """The copy as the next process has it, after a kill where that of the fixture was not closed."""
    copy = LastKnown(tmp_path / "last-known.db", "sw1")
    await copy.open()
    try:
        yield copy
    finally:
        await copy.close()


@pytest.fixture
async def copy(tmp_path):
    async with started_again(tmp_path) as copy:
        yield copy


async def test_standings_are_read_as_they_were_noted_last(copy):
    assert list(await copy.standings()) == []
    await copy.note([ACME, CARRIER])
    paid = ACME._replace(balance=Decimal(5), seq=8)
    await copy.note([paid])
    assert sorted(await copy.standings()) == [paid, CARRIER]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
async def test_standings_are_read_in_parts_between_which_calls_get_their_turn(copy, monkeypatch, count):
    monkeypatch.setattr(last_known, "_READ_AT_ONCE", 2)
    noted = [ACME._replace(account=f"customer {number}", seq=number) for number in range(count)]
    await copy.note(noted)
    parts = []

    async def let_others_run(delay):
        parts.append(delay)

    monkeypatch.setattr(last_known.asyncio, "sleep", let_others_run)
    assert await copy.standings() == noted
    assert parts == [0] * (count // 2)


async def test_the_time_is_the_one_that_was_noted_last(copy):
    assert await copy.known_at() is None
    for at in (1_790_000_000_000, 1_790_000_060_000):
        await copy.note_time(at)
    assert await copy.known_at() == 1_790_000_060_000


async def test_the_copy_outlives_the_process_and_is_made_anew_where_its_tables_are_others(tmp_path, copy):
    await copy.note([ACME])
    await copy.close()
    await copy.open()
    assert list(await copy.standings()) == [ACME]
    await copy.close()
    connection = sqlite3.connect(tmp_path / "last-known.db")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    await copy.open()
    assert list(await copy.standings()) == []


async def test_a_file_that_is_no_database_is_replaced(tmp_path):
    (tmp_path / "last-known.db").write_bytes(b"damaged" * 1_000)
    copy = LastKnown(tmp_path / "last-known.db", "sw1")
    await copy.open()
    await copy.note([ACME])
    assert list(await copy.standings()) == [ACME]
    await copy.close()


async def test_a_copy_that_cannot_be_written_is_reported_once_and_keeps_nothing_from_the_database(tmp_path):
    copy = LastKnown(tmp_path / "missing" / "last-known.db", "sw1")
    store = MemoryRegistrations()
    with structlog.testing.capture_logs() as logged:
        await copy.open()
        for slot in range(3):
            await written(beside(copy, store), [binding(slot)])
            await copy.note([ACME])
    assert [line["event"] for line in logged] == ["last_known_unusable", "last_known_not_written"]
    assert len(await store.load()) == 3
    await copy.close()


async def test_a_copy_that_was_removed_is_said_to_be_made_by_a_start(copy, tmp_path):
    """It is not the database that is missing, and no `vosd migrate` makes it."""
    await copy.note([ACME])
    for path in tmp_path.glob("last-known.db*"):
        path.unlink()
    with structlog.testing.capture_logs() as logged:
        await copy.note([ACME])
    (line,) = logged
    assert line["event"] == "last_known_not_written"
    assert line["error"].endswith(
        "last-known.db is missing: a start makes it anew, vosd restart while the database answers"
    )


async def test_a_copy_in_a_directory_that_is_closed_is_one_line_of_the_log(copy, tmp_path):
    with closed(tmp_path), structlog.testing.capture_logs() as logged:
        assert not await copy.note([ACME])
    (line,) = logged
    assert line["event"] == "last_known_not_written"
    assert "is missing" not in line["error"]


async def test_registrations_are_read_from_the_copy_while_the_database_is_away(copy):
    store = beside(copy, MemoryRegistrations())
    await written(store, [binding(0), binding(1)])
    await written(store, [binding(1, "sip:1001@192.0.2.77")], [BindingKey("1001", 0)])
    late = beside(copy, Away())
    with pytest.raises(StoreUnavailable):
        await late.load()
    with copy.instead():
        assert list(await late.load()) == [binding(1, "sip:1001@192.0.2.77")]


async def test_a_start_with_the_database_corrects_the_copy(copy):
    database = MemoryRegistrations()
    await database.save([binding(0)], [])
    await copy.registrations.save([binding(0, "sip:old@192.0.2.5"), binding(5)], [])
    assert list(await beside(copy, database).load()) == [binding(0)]
    assert list(await copy.registrations.load()) == [binding(0)]


@pytest.mark.parametrize("is_newest", [True, False])
async def test_the_next_start_writes_what_the_database_did_not_take(copy, is_newest):
    """A new binding, one that has moved, and one that was removed; not after another switch has had the database."""
    database = Away()
    database.is_back = True
    old = [binding(0), binding(1)]
    await written(beside(copy, database), old)
    database.is_back = False
    now = [binding(1, "sip:1001@192.0.2.77"), binding(2)]
    with pytest.raises(StoreUnavailable):
        await written(beside(copy, database), now, [BindingKey("1001", 0)])
    await copy.close()

    database.is_back = True
    store = beside(copy, database, is_newest=is_newest)
    assert list(await store.load()) == (now if is_newest else old)
    assert list(await database.load()) == list(await copy.registrations.load()) == (now if is_newest else old)
    assert list(await copy.unconfirmed()) == []


async def test_what_the_database_has_taken_is_not_written_again(copy):
    database = MemoryRegistrations()
    await written(beside(copy, database), [binding(0), binding(1)], [BindingKey("1001", 2)])
    await written(beside(copy, database), [binding(1)])
    await copy.close()
    await database.save([], [BindingKey("1001", 1)])
    assert list(await copy.unconfirmed()) == []
    assert list(await beside(copy, database).load()) == [binding(0)]


async def test_what_changes_again_is_marked_again(copy):
    store = beside(copy, MemoryRegistrations())
    await written(store, [binding(0)])
    await store.note([binding(0, "sip:1001@192.0.2.77")], [])
    assert list(await copy.unconfirmed()) == [BindingKey("1001", 0)]


async def test_a_binding_that_the_database_refuses_holds_up_no_start_and_no_other_binding(copy):
    with pytest.raises(ContentRefused):
        await written(beside(copy, Refusing()), [binding(0, UNFIT)])
    assert list(await copy.unconfirmed()) == []
    others = [binding(slot) for slot in range(1, 12) if slot != 7]
    with pytest.raises(ContentRefused):  # the writer goes on with halves, and is killed
        await written(beside(copy, Refusing()), [*others, binding(7, UNFIT)])
    database = Refusing()
    with structlog.testing.capture_logs() as logged:
        assert list(await beside(copy, database).load()) == others
    assert [line["event"] for line in logged] == ["registration_not_written"]
    assert list(await database.load()) == list(await copy.registrations.load()) == others
    assert list(await copy.unconfirmed()) == []


async def test_a_binding_that_does_not_fit_keeps_no_other_from_the_copy(copy):
    others = [binding(slot) for slot in range(1, 12)]
    with structlog.testing.capture_logs() as logged:
        assert await beside(copy, Away()).note([binding(0, "sip:" + "a" * 600), *others], [BindingKey("1001", 20)])
    assert list(await copy.registrations.load()) == others
    assert set(await copy.unconfirmed()) == {BindingKey("1001", slot) for slot in [*range(1, 12), 20]}
    assert [line["event"] for line in logged] == ["last_known_not_written"]


def moved(host: str, later_ms: int) -> StoredBinding:
    """Return the phone of ``binding(0)`` at another place."""
    return binding(0)._replace(contact=f"sip:1001@{host}", until=binding(0).until + later_ms)


@asynccontextmanager
async def without_room():
    raise StoreUnavailable("no space left on device")
    yield


@pytest.mark.parametrize("late", [[moved("192.0.2.50", 1_000)], []])
@pytest.mark.parametrize("before", [[binding(0)], []])
async def test_a_start_replaces_no_newer_state_of_the_database(tmp_path, copy, monkeypatch, before, late):
    """``state_dir`` is full after an outage and until a kill: the copy keeps the mark of a state that was replaced."""
    database = Away()
    database.is_back = True
    store = beside(copy, database)
    await written(store, before)
    gone = [] if late else [BindingKey("1001", 0)]
    database.is_back = False
    with pytest.raises(StoreUnavailable):
        await written(store, late, gone)
    database.is_back = True
    await store.save(late, gone)
    monkeypatch.setattr(copy._database, "writing", without_room)
    now = [moved("192.0.2.99", 2_000)]
    assert not await store.note(now, [])
    await store.save(now, [])

    async with started_again(tmp_path) as after:
        assert list(await after.unconfirmed()) == [BindingKey("1001", 0)]
        assert list(await beside(after, database).load()) == list(await database.load()) == now
        assert list(await after.registrations.load()) == now
        assert list(await after.unconfirmed()) == []


async def test_the_next_start_writes_a_later_place_that_ends_sooner(copy):
    """A stop in the outage writes the true end; the row in the database was to outlast the binding by far."""
    database = Away()
    database.is_back = True
    await written(beside(copy, database), [binding(0)])
    database.is_back = False
    stopped = [moved("192.0.2.99", -100_000)]
    with pytest.raises(StoreUnavailable):
        await written(beside(copy, database), stopped)
    database.is_back = True
    assert list(await beside(copy, database).load()) == list(await database.load()) == stopped


@pytest.mark.parametrize("part", ["registrations.load", "unconfirmed"])
async def test_a_copy_that_cannot_be_read_removes_nothing_from_the_database(tmp_path, copy, monkeypatch, part):
    """Neither does it lose what the database has not confirmed, which a later start can read."""
    database = MemoryRegistrations()
    await written(beside(copy, database), [binding(0)])
    late = [binding(1)]
    await copy.note_bindings(late, [])

    async def unreadable():
        raise StoreUnavailable("locked")

    async with started_again(tmp_path) as after:
        with monkeypatch.context() as patched, structlog.testing.capture_logs() as logged:
            holder, _, name = part.rpartition(".")
            patched.setattr(after.registrations if holder else after, name, unreadable)
            assert list(await beside(after, database).load()) == list(await database.load()) == [binding(0)]
        assert [line["event"] for line in logged] == ["last_known_unreadable"]
        assert list(await beside(after, database).load()) == [binding(0), *late]


async def test_what_the_copy_gets_after_the_database_is_not_marked(copy, monkeypatch):
    """The copy was full when the database got it, and is written again."""
    store = beside(copy, MemoryRegistrations())
    with monkeypatch.context() as patched:
        patched.setattr(copy._database, "writing", without_room)
        assert not await store.note([binding(0), binding(1)], [])
    await store.save([binding(0), binding(1)], [])
    now = [binding(0), moved("192.0.2.99", 1_000)._replace(slot=1)]
    assert await store.note(now, [])
    assert list(await copy.registrations.load()) == now
    assert list(await copy.unconfirmed()) == [BindingKey("1001", 1)]


class Phones:
    """The registrations of a process, and what writes them."""

    def __init__(self, store, names="1001 1002 1003 1004", *, most=10, presence=unreported):
        self.clock = ManualClock()
        flows = Flows([Listener("192.0.2.9", 5_060, "udp", "udp:0.0.0.0:5060")], str)
        self.writer = RegistrationWriter(store, flows, self.clock)
        settings = RegistrarSettings(max_contacts=most)
        self.table = Registrations(settings, flows, self.writer, self.clock, presence=presence)
        self.users = dict.fromkeys(names.split(), RegistrantKind.PHONE)

    def register(self, name, host, *, expires=3_600, cseq=9, contact=None):
        request = register_request(contact or f"<sip:{name}@{host}>", expires=expires, cseq=cseq)
        self.table.register(name, RegistrantKind.PHONE, request, Peer(0, host, 5_060), self.clock.now())

    async def restore_from(self, copy):
        """Take what the copy has, as a start does while the database does not answer."""
        with copy.instead():
            await self.table.restore_copy(self.users.get)

    def places(self):
        return {(each.name, each.binding.peer.host) for each in self.table.listed()}

    def row(self, name, host, left_s):
        """Return a stored binding that outlasts the present by so many seconds."""
        place = {"contact": f"sip:{name}@{host}", "host": host, "lifetime_s": 3_600, "listener": "udp:0.0.0.0:5060"}
        return binding(0)._replace(name=name, until=self.clock.now().wall + 1_000 * left_s, path=(), **place)


async def rows_of(store):
    return {(row.name, row.host) for row in await store.load()}


@pytest.mark.parametrize("is_newest", [True, False])
async def test_after_a_start_by_the_copy_newer_registrations_of_the_database_stay_and_hold(copy, is_newest):
    """Another switch ran meanwhile, or this one while its ``state_dir`` was full."""
    database = Away()
    database.is_back = True
    store = beside(copy, database, is_newest=is_newest)
    phones = Phones(store)
    row = phones.row
    await written(store, [row("1001", "192.0.2.1", 3_600), row("1003", "192.0.2.3", 3_600)])
    newer = [row("1001", "203.0.113.1", 7_000), row("1002", "203.0.113.2", 7_000), row("1003", "203.0.113.3", 7_000)]
    newer[2] = newer[2]._replace(contact="sip:1003@192.0.2.3")  # its NAT gave it another address
    await database.save(newer, [])
    await phones.restore_from(copy)
    assert phones.places() == {("1001", "192.0.2.1"), ("1003", "192.0.2.3")}
    phones.register("1004", "192.0.2.4")
    phones.register("1003", "192.0.2.3")
    database.is_back = False
    await phones.writer.flush()

    database.is_back = True
    await phones.table.restore(phones.users.get)
    now = {("1001", "203.0.113.1"), ("1002", "203.0.113.2"), ("1003", "192.0.2.3"), ("1004", "192.0.2.4")}
    assert phones.places() == now
    await phones.writer.flush()
    assert await rows_of(database) == await rows_of(copy.registrations) == now
    assert [row for row in await database.load() if row.name in {"1001", "1002"}] == newer[:2]


async def test_after_a_start_by_the_copy_a_removal_since_is_written(copy):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await written(store, [phones.row("1001", "192.0.2.1", 3_600)])
    await phones.restore_from(copy)
    phones.register("1001", "192.0.2.1", expires=0)
    await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert (phones.places(), await rows_of(database), await rows_of(copy.registrations)) == (set(), set(), set())


async def test_an_expiry_by_the_copy_removes_no_newer_registration_of_the_database(copy):
    """It is reported, and so is that the phone is registered after all."""
    database = MemoryRegistrations()
    store = beside(copy, database)
    phones = Phones(store)
    await written(store, [phones.row("1001", "192.0.2.1", 60)])
    await database.save([phones.row("1001", "203.0.113.1", 7_000)], [])
    await phones.restore_from(copy)
    with structlog.testing.capture_logs() as logged:
        phones.clock.move_to(phones.clock.now().mono + 70_000)
        phones.table.expire(phones.clock.now())
        assert phones.places() == set()
        await phones.writer.flush()
        await phones.table.restore(phones.users.get)
    assert phones.places() == await rows_of(database) == {("1001", "203.0.113.1")}
    assert [line["event"] for line in logged] == ["phone_offline", "phone_online", "registrations_restored"]


async def test_a_registration_that_only_the_copy_has_ends_when_the_database_is_read(copy):
    """At another switch another device took the place of the first phone's, and the second phone unregistered."""
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await written(store, [phones.row("1001", "192.0.2.1", 3_600), phones.row("1002", "192.0.2.2", 3_600)])
    now = [phones.row("1001", "203.0.113.1", 7_000)._replace(slot=1)]
    await database.save(now, [BindingKey("1001", 0), BindingKey("1002", 0)])
    await phones.restore_from(copy)
    with structlog.testing.capture_logs() as logged:
        await phones.table.restore(phones.users.get)
    assert phones.places() == await rows_of(database) == {("1001", "203.0.113.1")}
    assert [(line["event"], line.get("name")) for line in logged] == [
        ("phone_offline", "1002"), ("registrations_restored", None)
    ]  # fmt: skip
    await phones.table.write_all()
    assert await rows_of(database) == await rows_of(copy.registrations) == {("1001", "203.0.113.1")}


async def test_a_stop_before_the_database_was_read_leaves_it_to_the_next_start(copy):
    """It answers again at the stop, and another switch has removed what the copy has."""
    database = MemoryRegistrations()
    store = beside(copy, database)
    phones = Phones(store)
    await written(store, [phones.row("1001", "192.0.2.1", 3_600)])
    await database.save([phones.row("1003", "203.0.113.3", 7_000)], [BindingKey("1001", 0)])
    await phones.restore_from(copy)
    phones.register("1002", "192.0.2.2")
    await phones.table.write_all()
    assert await rows_of(database) == {("1003", "203.0.113.3")}
    after = Phones(store)
    await after.table.restore(after.users.get)
    assert after.places() == await rows_of(database) == {("1002", "192.0.2.2"), ("1003", "203.0.113.3")}


@pytest.mark.parametrize("most", [2, 1])
async def test_a_registration_of_the_database_whose_slot_another_device_got_is_kept_while_there_is_room(copy, most):
    database = MemoryRegistrations()
    store = beside(copy, database)
    phones = Phones(store, most=most)
    await phones.restore_from(copy)
    await database.save([phones.row("1001", "203.0.113.1", 7_000)], [])
    phones.register("1001", "192.0.2.9")
    await phones.table.restore(phones.users.get)
    now = {("1001", "192.0.2.9"), ("1001", "203.0.113.1")} if most == 2 else {("1001", "192.0.2.9")}
    assert phones.places() == now
    await phones.writer.flush()
    assert await rows_of(database) == await rows_of(copy.registrations) == now


@pytest.mark.parametrize("registers_first", [True, False], ids=["here", "by the copy"])
async def test_a_device_that_unregistered_is_not_restored_where_another_one_got_its_slot(copy, registers_first):
    database = MemoryRegistrations()
    store = beside(copy, database)
    phones = Phones(store)
    row = phones.row("1001", "192.0.2.1", 3_600)
    if not registers_first:
        await written(store, [row])
    await phones.restore_from(copy)
    if registers_first:
        await database.save([row], [])
        phones.register("1001", "192.0.2.1", cseq=9)
    phones.register("1001", "192.0.2.1", expires=0, cseq=10)
    phones.register("1001", "192.0.2.9", cseq=11)
    assert [each.binding.slot for each in phones.table.listed()] == [0]
    await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == {("1001", "192.0.2.9")}


async def with_slots_of_another_switch(copy, *, by_the_copy):
    """Return a user's phones after a start by the copy: the other switch gave the first slot to another device."""
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await written(store, by_the_copy)
    first, second = phones.row("1001", "203.0.113.2", 7_000), phones.row("1001", "192.0.2.1", 7_000)
    await database.save([first._replace(registered_at=second.registered_at + 5_000), second._replace(slot=1)], [])
    await phones.restore_from(copy)
    return database, phones


def copied(*hosts):
    return [Phones(None).row("1001", host, 3_600)._replace(slot=slot) for slot, host in enumerate(hosts)]


@pytest.mark.parametrize("by_the_copy", [[], copied("192.0.2.1"), copied("192.0.2.1", "192.0.2.7")])
async def test_a_device_with_another_slot_in_the_database_is_registered_once_and_displaces_no_other(copy, by_the_copy):
    database, phones = await with_slots_of_another_switch(copy, by_the_copy=by_the_copy)
    phones.register("1001", "192.0.2.1")
    await phones.writer.flush()
    await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    listed = [(each.binding.slot, each.binding.peer.host) for each in phones.table.listed()]
    assert listed == [(0, "192.0.2.1"), (2, "203.0.113.2")]
    assert [(row.slot, row.host) for row in await database.load()] == listed
    phones.register("1001", "192.0.2.1", expires=0, cseq=10)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == await rows_of(copy.registrations) == {("1001", "203.0.113.2")}


@pytest.mark.parametrize("by_the_copy", [[], copied("192.0.2.1"), copied("192.0.2.1", "203.0.113.2")])
async def test_a_device_that_unregisters_ends_under_its_slot_in_the_database_and_no_other_does(copy, by_the_copy):
    database, phones = await with_slots_of_another_switch(copy, by_the_copy=by_the_copy)
    is_online = len(by_the_copy) == 2
    phones.register("1001", "192.0.2.1")
    phones.register("1001", "192.0.2.1", expires=0, cseq=10)
    with structlog.testing.capture_logs() as logged:
        await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == await rows_of(copy.registrations) == {("1001", "203.0.113.2")}
    assert [line["event"] for line in logged] == ([] if is_online else ["phone_online"])


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"instance": '"<urn:uuid:b>"'}, ';+sip.instance="<urn:uuid:a>"'),
        ({"instance": '"<urn:uuid:a>"', "reg_id": 2}, ';+sip.instance="<urn:uuid:a>";reg-id=1'),
    ],
    ids=["two devices of one private address", "two flows of one device"],
)
async def test_registrations_that_differ_by_device_or_flow_alone_stay_beside_each_other(copy, there, here):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await phones.restore_from(copy)
    private = "sip:1001@192.168.1.20"
    await database.save([phones.row("1001", "203.0.113.2", 7_000)._replace(contact=private, **there)], [])
    phones.register("1001", "203.0.113.1", contact=f"<{private}>{here}")
    await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == {("1001", "203.0.113.1"), ("1001", "203.0.113.2")}


@pytest.mark.parametrize(
    ("by_the_copy", "in_the_database", "registers"),
    [
        (["192.0.2.2"], [("203.0.113.9", -5), ("192.0.2.2", 7_000)], []),
        (
            ["192.0.2.1", "192.0.2.2"],
            [("203.0.113.3", 7_000), ("192.0.2.1", 7_000), ("192.0.2.2", 7_000)],
            ["192.0.2.1"],
        ),
    ],
    ids=["a row that has ended", "a row of a device that is registered here under another slot"],
)
async def test_what_the_reading_removes_under_the_slot_of_a_device_ends_no_other_row_of_it(
    copy, by_the_copy, in_the_database, registers
):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await written(store, copied(*by_the_copy))
    rows = [phones.row("1001", host, left_s) for host, left_s in in_the_database]
    await database.save([row._replace(slot=slot) for slot, row in enumerate(rows)], [])
    await phones.restore_from(copy)
    for host in registers:
        phones.register("1001", host)
    with structlog.testing.capture_logs() as logged:
        await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert (
        phones.places() == await rows_of(database) == {("1001", host) for host, left_s in in_the_database if left_s > 0}
    )
    assert [line["event"] for line in logged] == ["registrations_restored"]


async def test_a_device_in_another_slot_of_the_database_is_not_kept_beyond_the_most(copy):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store, most=1)
    await database.save([phones.row("1001", "192.0.2.1", 7_000)._replace(slot=1)], [])
    await phones.restore_from(copy)
    phones.register("1001", "203.0.113.5")
    await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == {("1001", "203.0.113.5")}


async def test_registrations_beyond_a_lowered_most_stay_where_none_is_made_here(copy):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store, most=1)
    rows = copied("192.0.2.1", "192.0.2.2")
    await written(store, rows)
    await phones.restore_from(copy)
    await phones.table.restore(phones.users.get)
    assert phones.places() == {("1001", "192.0.2.1"), ("1001", "192.0.2.2")}


@pytest.mark.parametrize("contact", ["<sip:1001@192.0.2.1>", "*"])
async def test_a_device_that_the_copy_lacks_and_that_unregisters_stays_away(copy, contact):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await database.save([phones.row("1001", "192.0.2.1", 7_000), phones.row("1002", "192.0.2.2", 7_000)], [])
    await phones.restore_from(copy)
    phones.register("1001", "192.0.2.1", expires=0, contact=contact)
    with structlog.testing.capture_logs() as logged:
        await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == {("1002", "192.0.2.2")}
    assert [line["name"] for line in logged if line["event"] == "phone_online"] == ["1002"]


async def test_a_device_that_unregisters_alone_leaves_the_others_of_its_user(copy):
    database = MemoryRegistrations()
    store = beside(copy, database, is_newest=False)
    phones = Phones(store)
    await database.save(
        [phones.row("1001", "192.0.2.1", 7_000), phones.row("1001", "192.0.2.2", 7_000)._replace(slot=1)], []
    )
    await phones.restore_from(copy)
    phones.register("1001", "192.0.2.1", expires=0)
    await phones.table.restore(phones.users.get)
    await phones.writer.flush()
    assert phones.places() == await rows_of(database) == {("1001", "192.0.2.2")}


async def test_phones_that_the_copy_lacked_are_reported_online_and_later_offline(copy):
    database = MemoryRegistrations()
    store = beside(copy, database)
    seen = []
    phones = Phones(store, presence=lambda phone, _place, *, is_online: seen.append((phone, is_online)))
    await written(store, [phones.row("1001", "192.0.2.1", 7_000)])
    await database.save([phones.row("1002", "203.0.113.2", 7_000)], [])
    await phones.restore_from(copy)
    await phones.table.restore(phones.users.get)
    assert seen == [("1002", True)]
    phones.clock.move_to(phones.clock.now().mono + 3_700_000)
    phones.table.expire(phones.clock.now())
    assert sorted(seen[1:]) == [("1001", False), ("1002", False)]


async def test_what_phones_register_while_many_are_restored_stays():
    """Packets have their turn between: phones register and unregister before and after they are restored."""
    names = [str(number) for number in range(2_000, 2_000 + 9 * AT_ONCE)]
    database = MemoryRegistrations()
    phones = Phones(database, " ".join(names))
    await phones.table.restore_copy(phones.users.get)
    await database.save([phones.row(name, "203.0.113.1", 7_000) for name in names], [])

    async def register_between():
        while not phones.table.names():  # noqa: ASYNC110 - it waits for the turn of packets
            await asyncio.sleep(0)
        phones.register(names[-1], "192.0.2.9")
        phones.register(names[-2], "203.0.113.1", cseq=10)
        phones.register(names[-2], "203.0.113.1", cseq=11, expires=0)
        phones.register(names[0], "203.0.113.1", expires=0)
        await phones.writer.flush()
        assert len(phones.table.names()) < len(names) - 2

    await asyncio.gather(phones.table.restore(phones.users.get), register_between())
    await phones.writer.flush()
    assert await rows_of(database) == phones.places()
    assert {host for name, host in phones.places() if name == names[-1]} == {"192.0.2.9", "203.0.113.1"}
    assert phones.table.names() == {*names[1:-2], names[-1]}
