"""The rights of docs/database-rights.md are enough for all that the switch and its commands do, and for no more."""

import re
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pymysql
import pytest
from doubles.data.records import STARTED, answered_call, call_id
from doubles.mysql import server_with_rights
from sqlalchemy import func, select

from vosd.admin.retention import Retention
from vosd.billing.accounts import NEVER
from vosd.billing.deck_content import Chunk
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.lease import Claimant
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import CUSTOMER
from vosd.cdr.retention import DAY_MS, Age, DropPlan, RecordKind
from vosd.engine.settings import RetentionSettings
from vosd.sip.ports import BindingKey, StoredBinding
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.deck_values import StoredDeck, Way
from vosd.storage.decks import SqlDecks
from vosd.storage.dropped import dropped_before
from vosd.storage.lease import SqlLease
from vosd.storage.ledger import SqlLedger
from vosd.storage.migrate import migrate
from vosd.storage.overrides import SqlOverrides
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import CallFilter, EntryKind, MoneyTransfer, Payment
from vosd.storage.queries import SqlQueries
from vosd.storage.registrations import SqlRegistrations
from vosd.storage.retention import SqlRetention
from vosd.storage.traffic import SqlTraffic
from vosd.storage.validity import SqlValidity
from vosd.storage.verify import verify_ledger
from vosd.traffic.counted import SLOT_MS, YEAR_SLOTS, digest_of
from vosd.traffic.live_counts import LiveCounts, PeakSide, TrafficPeak

pytestmark = pytest.mark.mariadb

PAGE = (Path(__file__).parents[2] / "docs" / "database-rights.md").read_text()
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
"""What is done before ``vosd migrate``, and after it."""
GRANTED = {
    table: frozenset(rights.split(", "))
    for rights, table in re.findall(r"^GRANT ([A-Z, ]+) ON vosd\.(\w+) TO 'vosd'", BLOCKS[1], re.MULTILINE)
}
DENIED = 1142
URL = "mysql+aiomysql://{user}:{password}@127.0.0.1:{port}/vosd"


BINDING = StoredBinding(
    name="1001", slot=0, contact="sip:1001@192.168.1.20", q=500, call_id="abc", cseq=1, registered_at=STARTED,
    until=STARTED + 10_800_000, lifetime_s=3_600, listener="udp:0.0.0.0:5060", host="192.0.2.20", port=5_060, path=(),
    instance="", reg_id=0, user_agent="Phone 1.0",
)  # fmt: skip


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    """A server that obeys rights, with what the page says."""
    server = server_with_rights(tmp_path_factory.mktemp("rights"))
    server.start()
    admin = server.connection()
    with admin.cursor() as cursor:
        cursor.execute("FLUSH PRIVILEGES")
        run(cursor, BLOCKS[0])
        migrate(URL.format(user="vosd_owner", password="choose-one", port=server.port))
        run(cursor, BLOCKS[1])
        run(cursor, "CREATE USER 'keeper'@'127.0.0.1' IDENTIFIED BY 'choose-a-fourth'")
        run(cursor, "".join(BLOCKS[1:]).replace("'vosd'@", "'keeper'@"))
        run(cursor, "CREATE USER 'newcomer'@'127.0.0.1' IDENTIFIED BY 'choose-a-third'")
    yield server.port
    admin.close()
    server.stop()


def run(cursor, statements: str) -> None:
    for statement in filter(None, map(str.strip, statements.split(";"))):
        cursor.execute(statement)


@pytest.fixture
async def database(port):
    async with Database(URL.format(user="vosd", password="choose-another", port=port)) as database:
        yield database


def test_the_page_has_every_table():
    assert set(GRANTED) == {*schema.metadata.tables, "alembic_version"}


def test_what_must_stay_can_only_be_added_to():
    kept = ("ledger_entry", "ledger_checkpoint", "cdr_correction", "override_change", "cdr_attempt", "audit")
    assert {GRANTED[table] for table in kept} == {frozenset({"SELECT", "INSERT"})}
    assert not any("DELETE" in GRANTED[table] for table in ("account", "cdr", "cdr_charge", "counter"))


async def test_the_row_that_a_taking_changes_may_be_made_anew(database, port):
    owner = {"user": "vosd_owner", "password": "choose-one", "db": "vosd", "autocommit": True}
    with pymysql.connect(host="127.0.0.1", port=port, **owner) as connection:
        connection.cursor().execute("DELETE FROM counter WHERE name = 'lease'")
    claimant = Claimant("sw2", "holder-2", "host-a", 200, "boot/2")
    lease = SqlLease(database, lambda _: True)
    assert (await lease.hold(claimant)).epoch == 1
    await lease.release(claimant)


async def test_all_that_the_switch_and_its_commands_do_is_allowed(database):
    await database.check_schema()
    books, payments, overrides = SqlBooks(database), SqlPayments(database), SqlOverrides(database)
    claimant = Claimant("sw1", "holder-1", "host-a", 100, "boot/1")
    lease = SqlLease(database, lambda _: False)
    await lease.hold(claimant)
    await lease.hold(claimant)

    calls = [answered_call(index, customer_account="acme", vendor_account="carrier") for index in range(3)]
    await books.open_accounts(["acme", "carrier", "idle"])
    await books.settle_currencies({"acme": "USD", "idle": "USD"})
    await books.book(calls[:2])
    await books.book(calls)
    assert {*(await books.standings()).standings} == {"acme", "carrier", "idle"}

    paid = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": "p1", "made_at": STARTED, "amount": Decimal(10)}
    receipt = await payments.add(Payment(**paid, extends_days=30, configured_expiry=STARTED))
    assert receipt.expires_at is not None
    assert (await payments.add(Payment(**paid))).repeated
    terms = {"reference": "m1", "made_at": STARTED, "currencies": {"acme": "USD", "idle": "USD"}}
    await payments.transfer(MoneyTransfer(source="acme", target="idle", amount=Decimal(3), **terms))
    await SqlValidity(database).set("acme", NEVER, None, "ann", None, STARTED)
    amounts = Amounts(Decimal("0.02"), Decimal(0), 60)
    made = Correction(call_id(1), (ChargeChange(CUSTOMER, 0, amounts),), "ticket 7", "ann", "wrong rate", STARTED)
    await SqlCorrections(database).book([made])

    block = Override(Target.ACCOUNT, "acme", Setting.BLOCKED, "", "ann", STARTED)
    await overrides.put([block], STARTED)
    await overrides.put([block], STARTED)
    await overrides.clear([block.key], "ann", STARTED)
    await overrides.expire(STARTED)
    assert len(await overrides.changes(10)) == 5

    registrations = SqlRegistrations(database, "sw1")
    await registrations.save([BINDING], [])
    await registrations.save([BINDING], [BindingKey("1001", 0)])
    deck = StoredDeck(
        rate_group="acme", version=1, content=1, replaced=None, made_at=STARTED, operator="ann", way=Way.FULL,
        effective=None, rates=1, digest="a" * 64, changes={"new": 1}, memo=None,
    )  # fmt: skip
    await SqlDecks(database).add(deck, [Chunk("1", zlib.compress(b"header\n1,one\n"))])

    assert len(await SqlQueries(database).calls(CallFilter())) == 3
    assert (await verify_ledger(database)).differences == ()
    await SqlCheckpoints(database).close(STARTED, "ann", None, STARTED)
    assert (await verify_ledger(database, whole=True)).differences == ()
    assert (await SqlLedger(database).statement("idle", STARTED, STARTED + 1)).closing == 3
    await lease.release(claimant)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount = 0",
        "DELETE FROM ledger_entry",
        "REPLACE INTO ledger_entry SELECT * FROM ledger_entry",
        "TRUNCATE ledger_entry",
        "ALTER TABLE ledger_entry ADD COLUMN more INT",
        "DROP TABLE ledger_entry",
        "UPDATE ledger_checkpoint SET balance = 0",
        "DELETE FROM cdr_correction",
        "DELETE FROM override_change",
        "DELETE FROM cdr",
        "DELETE FROM account",
        "CREATE TABLE more (id INT)",
    ],
)
def test_what_is_not_needed_is_denied(port, statement):
    with (
        pymysql.connect(host="127.0.0.1", port=port, user="vosd", password="choose-another", database="vosd") as own,
        own.cursor() as cursor,
        pytest.raises(pymysql.err.OperationalError) as denied,
    ):
        cursor.execute(statement)
    assert denied.value.args[0] == DENIED


async def test_a_right_that_is_missing_is_named_with_what_to_do(database):
    with pytest.raises(StoreUnavailable, match=r"UPDATE command denied .*ledger_entry.*docs/database-rights\.md"):
        async with database.writing() as connection:
            await connection.exec_driver_sql("UPDATE ledger_entry SET amount = 0")


async def test_a_user_without_any_right_is_sent_to_the_list_of_rights_and_not_to_its_password(port):
    async with Database(URL.format(user="newcomer", password="choose-a-third", port=port)) as database:
        with pytest.raises(StoreUnavailable, match=r"1044.*no right to it: docs/database-rights\.md"):
            await database.check_schema()


@pytest.mark.parametrize("kind", RecordKind)
async def test_without_the_further_rights_nothing_is_refused_as_dropped(database, kind):
    """Some sums could be dropped without them: then reports of then would be refused for the rest."""
    with pytest.raises(StoreUnavailable, match=r"(DELETE|UPDATE) command denied .*docs/database-rights\.md"):
        await SqlRetention(database).begin(DropPlan(kind, STARTED, STARTED, ()))
    async with database.reading() as connection:
        assert not any(await dropped_before(connection))


async def test_the_further_rights_are_enough_to_drop_old_records(port, tmp_path):
    (tmp_path / "journal").mkdir()
    now, half = STARTED + 400 * DAY_MS, Age(days=180)
    ages = {"calls": half, "ledger": half, "numbers": half, "payments": half, "daily_totals": Age(days=1), "sums": half}
    async with Database(URL.format(user="keeper", password="choose-a-fourth", port=port)) as database:
        old = answered_call(8_000, customer_account="acme", vendor_account="carrier")
        new = answered_call(300 * DAY_MS, customer_account="acme", vendor_account="carrier", callee_in="442079460123")
        await SqlPayments(database).add(
            Payment(account="acme", kind=EntryKind.PAYMENT, reference="old", made_at=STARTED, amount=Decimal(3))
        )
        await SqlBooks(database).book([old])
        await SqlBooks(database).book([new])
        traffic = SqlTraffic(database)
        await traffic.add_live(LiveCounts(9, (), (TrafficPeak(STARTED // SLOT_MS, PeakSide.SWITCH, "", 1, 1),)))
        while await traffic.advance() or await traffic.close_day(now):
            pass
        assert await traffic.close_zone_day(STARTED + 3 * DAY_MS, [ZoneInfo("Europe/Berlin")])
        for day in (100, 390):
            await SqlCheckpoints(database).close(STARTED + day * DAY_MS, "ann", None, now)
        done = await Retention(database, RetentionSettings(**ages), tmp_path, "ann", lambda: now).run()
        assert {sheet.kind for sheet in done.kinds if sheet.months} >= {"calls", "ledger", "payments", "sums"}
        assert done.daily_totals_dropped
        async with database.reading() as connection:
            (first,) = (await connection.execute(select(func.min(schema.traffic_key.c.digest)))).one()
        assert first >= digest_of((now - 180 * DAY_MS) // SLOT_MS // YEAR_SLOTS)
