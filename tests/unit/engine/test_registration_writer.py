"""What is written of registrations and when, what waits while the database is away, and what a restart takes over."""

import asyncio

import pytest
from doubles.data.registering import register_request
from doubles.memory import MemoryRegistrations
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.registration.bindings import RegistrantKind, Registrations
from vosd.engine.registration.writer import AT_ONCE, BATCH, RegistrationWriter
from vosd.sip.flows import Flows, Listener
from vosd.sip.ports import BindingKey
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.outgoing import Peer

HOME = Peer(0, "203.0.113.66", 41_234)
USERS = {"1001": RegistrantKind.PHONE, "1002": RegistrantKind.PHONE}
LISTENERS = (Listener("192.0.2.1", 5_060, "udp", "udp:0.0.0.0:5060"),
             Listener("192.0.2.1", 5_061, "tls", "tls:0.0.0.0:5061"))  # fmt: skip


class Store(MemoryRegistrations):
    """A store that counts, may be down, and may reject a user for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[int, int]] = []
        self.noted: list[str] = []
        self.is_away = False
        self.is_copy_full = False
        self.refused = ""

    async def note(self, bindings, gone):
        if not self.is_copy_full:
            self.noted += [each.name for each in [*bindings, *gone]]
        return not self.is_copy_full

    async def save(self, bindings, gone):
        if self.is_away:
            raise StoreUnavailable("away")
        if any(binding.name == self.refused for binding in bindings):
            raise VosError("it does not fit")
        self.writes.append((len(bindings), len(gone)))
        await super().save(bindings, gone)


class Life:
    """One life of the table and its writer, on a store that may have been there before."""

    def __init__(self, store: Store, clock: ManualClock, listeners=LISTENERS) -> None:
        flows = Flows(listeners, str)
        self.store = store
        self.clock = clock
        self.writer = RegistrationWriter(store, flows, clock)
        self.table = Registrations(RegistrarSettings(), flows, self.writer, clock)
        self._cseq = 0

    def register(self, name="1001", contact="", source=HOME, lifetime=3_600, **parts):
        self._cseq += 1
        contact = contact or f"sip:{name}@10.0.0.1"
        request = register_request(f"<{contact}>", expires=lifetime, cseq=self._cseq, **parts)
        outcome = self.table.register(name, RegistrantKind.PHONE, request, source, self.clock.now())
        assert outcome.status == 200

    async def rows(self):
        await self.writer.flush()
        return await self.store.load()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def life(store, clock) -> Life:
    return Life(store, clock)


def later(clock: ManualClock, seconds: float) -> None:
    clock.move_to(clock.now().mono + round(1_000 * seconds))


async def test_what_is_new_is_written_with_everything_that_a_call_needs(life):
    life.register(contact="sip:1001@10.0.0.1:5070", headers=["Path: <sip:edge;lr>", "User-Agent: Phone"])
    (row,) = await life.rows()
    assert (row.name, row.slot, row.contact, row.listener) == ("1001", 0, "sip:1001@10.0.0.1:5070", "udp:0.0.0.0:5060")
    assert (row.host, row.port, row.path, row.user_agent) == (HOME.host, HOME.port, ("<sip:edge;lr>",), "Phone")


async def test_no_row_ever_ends_before_its_binding_though_refreshes_are_mostly_not_written(life, store, clock):
    """At every moment, including unwritten states: a restart then loses no binding."""
    refreshes = 0
    for _ in range(40):
        life.register(lifetime=600)
        refreshes += 1
        (row,) = await store.load() if store.writes else await life.rows()
        binding = next(each.binding for each in life.table.listed())
        assert row.until >= binding.expires_at.wall
        await life.writer.flush()
        later(clock, 300)
    assert refreshes / 4 < len(store.writes) < refreshes / 2


@pytest.mark.parametrize(
    "change",
    [{"source": HOME._replace(port=9)}, {"lifetime": 1_800}, {"call_id": "other"}, {"contact": "sip:1001@10.0.0.1;x=1"},
     {"headers": ["User-Agent: Other"]}, {"headers": ["Path: <sip:edge;lr>"]}],
)  # fmt: skip
async def test_a_refresh_that_changes_something_is_written(life, store, change):
    life.register()
    await life.writer.flush()
    life.register()
    await life.writer.flush()
    assert store.writes == [(1, 0)]
    life.register(**change)
    await life.writer.flush()
    assert store.writes == [(1, 0), (1, 0)]


async def test_what_changes_again_before_it_is_written_is_written_once(life, store):
    for _ in range(5):
        life.register()
        life.register("1001", lifetime=0)
    assert len(life.writer) == 1
    await life.writer.flush()
    assert store.writes == [(0, 1)]


async def test_while_the_database_is_down_each_binding_waits_once_and_it_is_logged_once(life, store):
    store.is_away = True
    with capture_logs() as logs:
        for number in range(3):
            for _ in range(4):
                life.register(f"100{number}", source=HOME._replace(port=number + 1))
            await life.writer.flush()
        assert len(life.writer) == 3
        store.is_away = False
        assert len(await life.rows()) == 3
    assert [line["event"] for line in logs if line.get("part") == "registrations"] == ["database_away", "database_back"]


async def test_what_came_while_a_write_failed_is_not_undone_by_the_older(life, store):
    life.register()
    store.is_away = True

    async def fail_late(bindings, gone):
        life.register("1001", lifetime=0)
        raise StoreUnavailable("away")

    store.save = fail_late
    await life.writer.flush()
    del store.save
    store.is_away = False
    assert await life.rows() == []


async def test_a_write_that_is_cut_off_is_done_again(life, store):
    life.register()
    begun = asyncio.Event()

    async def hang(bindings, gone):
        begun.set()
        await asyncio.Event().wait()

    store.save = hang
    task = asyncio.create_task(life.writer.flush())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del store.save
    assert len(await life.rows()) == 1


async def test_one_that_can_never_be_written_keeps_no_other_from_it(life, store):
    store.refused = "1007"
    for number in range(20):
        life.register(f"{1_000 + number}", source=HOME._replace(port=number + 1))
    with capture_logs() as logs:
        assert len(await life.rows()) == 19
    assert [line["name"] for line in logs if line["log_level"] == "error"] == ["1007"]
    assert len(life.writer) == 0


async def test_many_are_written_in_bounded_batches(life, store):
    for number in range(2 * BATCH + 1):
        life.register(f"{number}", source=HOME._replace(host=f"10.0.{number // 250}.{number % 250}"))
    await life.writer.flush()
    assert store.writes == [(BATCH, 0), (BATCH, 0), (1, 0)]


async def test_the_copy_gets_all_once_although_the_database_is_away(life, store):
    store.is_away = True
    for number in range(2 * BATCH + 1):
        life.register(f"{number}", source=HOME._replace(host=f"10.0.{number // 250}.{number % 250}"))
    await life.writer.flush()
    assert sorted(store.noted, key=int) == [f"{number}" for number in range(2 * BATCH + 1)]
    life.register("7", lifetime=0, source=HOME._replace(host="10.0.0.7"))
    await life.writer.flush()
    assert store.noted[2 * BATCH + 1 :] == ["7"]


async def test_the_copy_gets_later_what_it_had_no_room_for(life, store):
    store.is_copy_full = True
    life.register("1001")
    life.register("1002")
    assert len(await life.rows()) == 2
    life.register("1002", lifetime=0)
    assert len(await life.rows()) == 1
    assert store.noted == []
    store.is_copy_full = False
    for _ in range(2):
        await life.writer.flush()
    assert store.noted == ["1001", "1002"]
    assert store.writes == [(2, 0), (0, 1)]


async def test_the_copy_gets_first_what_comes_while_others_are_written(life, store):
    save, noted = store.save, []

    async def save_while_others_come(bindings, gone):
        noted.append([each in store.noted for each in [row.name for row in bindings]])
        await save(bindings, gone)
        if len(noted) == 1:
            life.register("1002")

    store.save = save_while_others_come
    life.register("1001")
    await life.writer.flush()
    assert noted == [[True], [True]]


async def test_a_removal_that_is_just_written_is_not_read_back(life, store):
    life.register("1001")
    await life.rows()
    save, found = store.save, []

    async def save_while_all_are_read(bindings, gone):
        found.extend(await life.writer.load(lambda _binding: None))
        await save(bindings, gone)

    store.save = save_while_all_are_read
    life.register("1001", lifetime=0)
    assert await life.rows() == []
    assert found == []


async def test_after_a_crash_all_bindings_are_restored_for_at_most_a_lifetime(life, store, clock):
    life.register(lifetime=600)
    await life.writer.flush()
    later(clock, 500)
    life.register(lifetime=600)  # not written: the row is far enough ahead
    later(clock, 300)
    second = Life(store, clock)
    with capture_logs() as logs:
        await second.table.restore(USERS.get)
    assert [address.port for address in second.table.addresses("1001")] == [HOME.port]
    assert second.table.peers() == (HOME,)
    (found,) = second.table.listed()
    assert found.binding.expires_at == clock.now().plus(600_000)
    assert not any(line["event"].startswith("phone_") for line in logs)


@pytest.mark.parametrize("set_by_s", [0, 800_000_000, -7_200], ids=["right", "booted without the time", "booted ahead"])
async def test_a_stop_writes_the_true_ends_also_where_the_clock_was_set_since(life, store, clock, set_by_s):
    life.register(lifetime=600)
    await life.writer.flush()
    clock.set_wall(1_000 * set_by_s)
    later(clock, 100)
    await life.table.write_all()
    later(clock, 100)
    second = Life(store, clock)
    await second.table.restore(USERS.get)
    (found,) = second.table.listed()
    assert found.binding.expires_at == clock.now().plus(400_000)
    assert len(await second.rows()) == 1


async def test_a_switch_that_is_killed_after_its_clock_was_set_forward_loses_no_phone(life, store, clock):
    life.register(lifetime=600)
    life.register("1002", lifetime=7_200)
    await life.rows()
    later(clock, 100)
    clock.set_wall(1_800_000)
    for _ in range(2):
        await life.table.follow_clock()
        await life.rows()
    assert store.writes == [(2, 0), (1, 0)], "the row of the other one lasts long enough"
    second = Life(store, clock)
    await second.table.restore(USERS.get)
    ends = {each.name: each.binding.expires_at for each in second.table.listed()}
    assert ends == {"1001": clock.now().plus(600_000), "1002": clock.now().plus(7_200_000)}


async def test_a_store_that_went_back_to_an_older_state_is_brought_to_what_is_registered(life, store):
    life.register("1001")
    await life.rows()
    older = dict(store._kept)
    life.register("1001", contact="sip:1001@10.0.0.9")
    life.register("1002")
    now = await life.rows()
    gone = next(iter(older.values()))._replace(name="1003")

    store._kept = {**older, BindingKey("1003", gone.slot): gone}
    await life.table.write_again()

    assert await life.rows() == now


async def test_calls_go_on_and_phones_register_while_all_is_written_again(life, store):
    names = [f"{number:06}" for number in range(3 * AT_ONCE)]
    for name in names:
        life.register(name)
    await life.rows()
    store._kept.pop(BindingKey(names[0], 0))
    writing = asyncio.create_task(life.table.write_again())
    turns = 0
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
        if turns == 3:
            life.register(names[-1], contact=f"sip:{names[-1]}@10.0.0.9", source=HOME._replace(port=9))
            life.register("later")
            life.table.forget(names[-2])
    assert turns > 3
    rows = {(row.name, row.contact) for row in await life.rows()}
    assert rows == {(each.name, each.binding.contact) for each in life.table.listed()}
    assert len(rows) == len(names) + 1


async def test_a_binding_that_expired_while_the_switch_was_down_is_reported_once(life, store, clock):
    life.register(lifetime=600)
    life.register(contact="sip:1001@10.0.0.2", lifetime=600)
    life.register("1002", lifetime=3_600)
    await life.table.write_all()
    later(clock, 700)
    second = Life(store, clock)
    with capture_logs() as logs:
        await second.table.restore(USERS.get)
    assert [(line["event"], line.get("name"), line.get("reason")) for line in logs if "phone" in line["event"]] == [
        ("phone_offline", "1001", "ended while the switch was down")
    ]
    assert [row.name for row in await second.rows()] == ["1002"]


async def test_who_is_not_configured_any_more_is_forgotten(life, clock, store):
    life.register("1001")
    life.register("1003")
    await life.writer.flush()
    second = Life(store, clock)
    await second.table.restore(USERS.get)
    assert [row.name for row in await second.rows()] == ["1001"]


async def test_a_restored_binding_ends_and_is_renewed_like_any_other(life, store, clock):
    life.register(lifetime=600)
    await life.table.write_all()
    second = Life(store, clock)
    await second.table.restore(USERS.get)
    second.register(lifetime=1_200, call_id="after-restart")
    later(clock, 700)
    second.table.expire(clock.now())
    assert len(second.table) == 1
    later(clock, 600)
    second.table.expire(clock.now())
    assert (len(second.table), await second.rows()) == (0, [])


@pytest.mark.parametrize(
    ("contact", "port"), [("sips:1001@203.0.113.66:5080", 5_080), ("sip:1001@203.0.113.66;transport=tls", 5_061)]
)
async def test_who_was_on_a_connection_is_called_back_at_its_contact(life, store, clock, contact, port):
    life.register(contact=contact, source=Peer(1, "203.0.113.66", 41_234))
    await life.writer.flush()
    second = Life(store, clock)
    await second.table.restore(USERS.get)
    assert [(each.flow, each.port) for each in second.table.addresses("1001")] == [(1, port)]


@pytest.mark.parametrize("host", ["198.51.100.7", "edge.example"])
async def test_who_was_behind_a_proxy_is_called_by_its_path_after_a_restart(life, store, clock, host):
    """No name is resolved by then: until it is, the proxy is where the REGISTER came from."""
    proxy = Peer(1, "198.51.100.7", 43_817)
    path = [f"Path: <sip:{host}:5063;transport=tls;lr>"]
    life.register("1001", "sip:1001@192.168.1.20:5060", proxy, headers=path)
    life.register("1002", "sip:1002@192.168.1.20:5060", proxy, headers=["Path: <sip:192.0.2.99;lr>"])
    await life.writer.flush()
    again = Life(store, clock)
    await again.table.restore(USERS.get)
    assert [(each.host, each.port) for each in again.table.addresses("1001")] == [("198.51.100.7", 5_063)]
    assert not again.table.addresses("1002")


async def test_who_was_on_a_connection_from_behind_nat_must_register_anew(life, store, clock):
    life.register(contact="sip:1001@192.168.1.2;transport=tls", source=Peer(1, "203.0.113.66", 41_234))
    await life.writer.flush()
    second = Life(store, clock)
    await second.table.restore(USERS.get)
    assert second.table.addresses("1001") == ()


async def test_a_binding_of_a_removed_listener_is_not_restored(life, store, clock):
    life.register()
    await life.writer.flush()
    second = Life(store, clock, listeners=LISTENERS[1:])
    await second.table.restore(USERS.get)
    assert (len(second.table), await second.rows()) == (0, [])


async def test_the_order_of_listeners_may_change(life, store, clock):
    life.register()
    await life.writer.flush()
    second = Life(store, clock, listeners=LISTENERS[::-1])
    await second.table.restore(USERS.get)
    assert [each.flow for each in second.table.addresses("1001")] == [1]
