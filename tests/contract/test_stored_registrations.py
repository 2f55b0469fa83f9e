"""What ``BindingStore`` promises, over memory, SQLite and MariaDB."""

import pytest
from doubles.data.records import STARTED

from vosd.cdr.ports import StoreUnavailable
from vosd.sip.ports import BindingKey, StoredBinding
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.registrations import SqlRegistrations


def stored(name="1001", slot=0, **changes) -> StoredBinding:
    usual = StoredBinding(
        name=name,
        slot=slot,
        contact="sip:1001@192.168.1.20:5060;transport=udp",
        q=500,
        call_id="abc@192.168.1.20",
        cseq=2**31 - 1,
        registered_at=STARTED,
        until=STARTED + 10_800_000,
        lifetime_s=3_600,
        listener="udp:0.0.0.0:5060",
        host="2001:db8::20",
        port=61_234,
        path=(),
        instance='"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"',
        reg_id=1,
        user_agent="Phone 1.0",
    )
    return usual._replace(**changes)


async def test_what_was_saved_is_loaded_by_name_and_slot(store):
    some = [stored("1002"), stored("1001", 1), stored("1001", 0), stored("pbx")]
    await store.registrations.save(some, ())
    assert await store.registrations.load() == sorted(some)


async def test_a_binding_that_is_there_is_written_over(store):
    before, after = stored(), stored(contact="sip:1001@10.0.0.1", until=STARTED, cseq=7, q=1_000, reg_id=0)
    await store.registrations.save([before], ())
    await store.registrations.save([after, stored("1002")], ())
    assert await store.registrations.load() == [after, stored("1002")]


async def test_what_is_gone_is_gone_and_what_was_never_there_is_no_matter(store):
    await store.registrations.save([stored("1001", slot) for slot in range(3)], ())
    await store.registrations.save([stored("1001", 3)], [BindingKey("1001", 1), BindingKey("unknown", 0)])
    assert [each.slot for each in await store.registrations.load()] == [0, 2, 3]


async def test_a_path_comes_back_hop_by_hop(store):
    path = ("<sip:edge.example.com;lr>", '<sip:a,b@proxy;lr>;x=", "')
    await store.registrations.save([stored(path=path)], ())
    assert (await store.registrations.load())[0].path == path


async def test_what_peers_may_call_themselves_is_kept_as_far_as_it_is_text(store):
    binding = stored(contact="sip:%00\N{SMILING FACE WITH HORNS}@h", user_agent="x\udcff\0" + 200 * "y")
    await store.registrations.save([binding], ())
    (found,) = await store.registrations.load()
    assert found.contact == binding.contact
    assert found.user_agent.startswith("x\\udcff\\x00yyy")
    assert len(found.user_agent) == 128


async def test_the_largest_binding_fits(store):
    largest = stored(
        "n" * 64, 32_767, contact="c" * 512, call_id="i" * 255, path=("p" * 128,) * 8, instance="i" * 512,
        reg_id=2**31 - 1, lifetime_s=2**31 - 1, user_agent="a" * 128, listener="l" * 64, host="h" * 64,
    )  # fmt: skip
    await store.registrations.save([largest], ())
    assert await store.registrations.load() == [largest]


async def test_a_binding_that_is_too_long_is_refused_for_its_content(database):
    """A fault of the tables would be retried for ever."""
    store = SqlRegistrations(database, "sw1")
    with pytest.raises(ContentRefused, match="contact of a binding of 1001 has more than 512 characters"):
        await store.save([stored("1002"), stored(contact="c" * 513)], ())
    assert await store.load() == []


async def test_many_are_saved_and_removed_at_once(store):
    many = [stored(f"{number:05}") for number in range(1_200)]
    await store.registrations.save(many, ())
    await store.registrations.save((), [BindingKey(each.name, 0) for each in many[:1_100]])
    assert await store.registrations.load() == many[1_100:]


async def test_each_node_has_its_own(database):
    here, there = SqlRegistrations(database, "sw1"), SqlRegistrations(database, "sw2")
    await here.save([stored()], ())
    await there.save([stored(contact="sip:there")], ())
    await there.save((), [BindingKey("1001", 1)])
    assert [each.contact for each in await here.load()] == [stored().contact]
    await here.save((), [BindingKey("1001", 0)])
    assert (await here.load(), len(await there.load())) == ([], 1)


async def test_a_database_that_is_away_is_unavailable(unused_tcp_port):
    database = Database(f"mysql+aiomysql://vosd:secret@127.0.0.1:{unused_tcp_port}/vosd")
    registrations = SqlRegistrations(database, "sw1")
    with pytest.raises(StoreUnavailable):
        await registrations.save([stored()], ())
    with pytest.raises(StoreUnavailable):
        await registrations.load()
    await database.close()
