"""What ``Books`` promises, over memory, SQLite and MariaDB."""

from decimal import Decimal

import msgspec
import pytest
from doubles.collisions import colliding
from doubles.data.records import answered_call, call_id, refused_call
from doubles.statements import statements_of

from vosd.cdr.ports import Collided, RejectedRecords, Standing
from vosd.cdr.record import Attempt, Posting
from vosd.storage import books
from vosd.storage.books import SqlBooks
from vosd.storage.ports import CallFilter, EntryKind, Payment
from vosd.storage.queries import SqlQueries

FEE = Decimal("0.012345")
COST = Decimal("0.009876")


async def test_an_opened_account_has_balance_zero_and_no_entries(store):
    await store.books.open_accounts(["acme", "carrier-a"])
    assert (await store.books.standings()).standings == {
        "acme": Standing(Decimal(0), 0),
        "carrier-a": Standing(Decimal(0), 0),
    }


async def test_opening_an_account_again_leaves_its_balance(store):
    await store.books.book([answered_call(1, customer_account="acme")])
    await store.books.open_accounts(["acme"])
    assert await store.queries.standing("acme") == Standing(-FEE, 1)


async def test_the_standings_of_many_accounts_are_taken_some_in_a_turn(database, monkeypatch):
    """A hundred thousand at once kept the event loop for a quarter of a second."""
    held, at_once, add = SqlBooks(database), [], books._Standings.add
    await held.book([answered_call(index, customer_account=f"account-{index}") for index in range(7)])
    before = await held.standings()
    monkeypatch.setattr(books, "_OPENED_AT_ONCE", 3)
    monkeypatch.setattr(books._Standings, "add", lambda found, rows: add(found, rows) or at_once.append(len(rows)))
    assert await held.standings() == before
    assert (sum(at_once), max(at_once)) == (len(before.standings), 3)
    assert await held.standings(before.mark) == books.ChangedStandings({}, before.mark)


async def test_a_booked_call_comes_back_with_every_column(store):
    record = answered_call(1, tax=Decimal("0.00123450"), cost_tax=Decimal("0.00000001"))
    await store.books.book([record])
    stored = await store.queries.call(record.call_id)
    assert stored is not None
    assert stored.record == msgspec.structs.replace(record, postings=())


async def test_a_refused_call_keeps_its_nulls_and_has_no_attempts(store):
    record = refused_call(1)
    assert (await store.books.book([record])).standings == {}
    stored = await store.queries.call(record.call_id)
    assert stored is not None
    assert stored.record == record
    assert stored.record.answered_at is None
    assert stored.record.fee == 0


async def test_attempts_come_back_in_the_order_they_were_made(store):
    attempts = (
        Attempt("first", 503, 12, None, "Unavailable"),
        Attempt("second", 0, 5_000, None, "Unavailable"),
        Attempt("third", 200, 900, 350, "Normal"),
    )
    await store.books.book([answered_call(1, attempts=attempts)])
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    assert stored.record.attempts == attempts


async def test_booking_returns_the_standing_of_every_account_it_touched(store):
    await store.books.open_accounts(["idle"])
    calls = [answered_call(index, customer_account="acme", vendor_account="carrier-a") for index in range(3)]
    assert (await store.books.book(calls)).standings == {
        "acme": Standing(-3 * FEE, 3),
        "carrier-a": Standing(-3 * COST, 3),
    }


async def test_an_unopened_account_gets_its_row_with_the_first_call(store):
    await store.books.book([answered_call(1, customer_account="new")])
    assert await store.queries.standing("new") == Standing(-FEE, 1)


async def test_a_call_that_cost_nothing_makes_no_entry(store):
    free = answered_call(1, customer_account="acme", fee=Decimal(0), vendor_account="carrier-a")
    standings = (await store.books.book([free])).standings
    assert standings == {"acme": Standing(Decimal(0), 0), "carrier-a": Standing(-COST, 1)}


async def test_customer_and_vendor_may_be_the_same_account(store):
    both = answered_call(1, customer_account="acme", vendor_account="acme")
    assert (await store.books.book([both])).standings == {"acme": Standing(-FEE - COST, 2)}


async def test_an_empty_batch_changes_nothing(store):
    assert (await store.books.book([])).standings == {}
    assert (await store.books.standings()).standings == {}


async def test_booking_a_batch_again_changes_nothing_and_tells_the_standings(store):
    batch = [answered_call(index, customer_account="acme", vendor_account="v") for index in range(4)]
    first = await store.books.book(batch)
    assert first.repeated == set()
    again = await store.books.book(batch)
    assert again == (first.standings, {record.call_id for record in batch})
    assert await store.queries.standing("acme") == Standing(-4 * FEE, 4)
    assert len(await store.queries.calls(CallFilter())) == 4


async def test_a_retry_that_overlaps_books_only_what_is_new(store):
    calls = [answered_call(index, customer_account="acme") for index in range(6)]
    await store.books.book(calls[:4])
    assert (await store.books.book(calls[2:])).repeated == {call_id(2), call_id(3)}
    assert await store.queries.standing("acme") == Standing(-6 * FEE, 6)
    assert len(await store.queries.calls(CallFilter())) == 6


async def test_the_same_record_twice_in_a_batch_is_booked_once(store):
    record = answered_call(1, customer_account="acme")
    assert (await store.books.book([record, record])).repeated == set()
    assert await store.queries.standing("acme") == Standing(-FEE, 1)


async def test_a_call_without_cdr_books_its_money_once(store):
    unrecorded = answered_call(1, customer_account="acme", recorded=False)
    await store.books.book([unrecorded])
    again = await store.books.book([unrecorded, answered_call(2, customer_account="acme")])
    assert again.repeated == {call_id(1)}
    assert await store.queries.call(call_id(1)) is None
    assert await store.queries.standing("acme") == Standing(-2 * FEE, 2)


async def number_of(store, index: int) -> int:
    stored = await store.queries.call(call_id(index))
    assert stored is not None
    return stored.export_seq


async def test_export_numbers_follow_the_order_of_commit(store):
    await store.books.book([answered_call(5), answered_call(3)])
    await store.books.book([answered_call(1), answered_call(9)])
    numbers = [await number_of(store, index) for index in (5, 3, 1, 9)]
    assert numbers == sorted(set(numbers))


async def test_calls_booked_again_after_a_kill_leave_a_gap_in_the_export_numbers_and_nothing_comes_below_it(database):
    """The bookkeeper was killed between a commit and its note in the journal: it books the batch again, with more."""
    store, committed = SqlBooks(database), [answered_call(1), answered_call(2)]

    async def numbers() -> list[int]:
        found = await SqlQueries(database).calls(CallFilter())
        return [each.export_seq for each in sorted(found, key=lambda each: each.record.call_id)]

    await store.book(committed)
    before = await numbers()
    await store.book([*committed, answered_call(3)])
    *same, third = await numbers()
    assert same == before, "who has read them does not get them again"
    assert third > before[-1] + 1
    await store.book([answered_call(4)])
    assert (await numbers())[-1] > third


@pytest.mark.parametrize(("collisions", "is_booked"), [(2, True), (3, False)])
async def test_a_batch_that_collides_is_tried_thrice(collisions, is_booked, database):
    """The database was taken for away: with a second before the next try, for each commit of another node of Galera."""
    batch = [answered_call(index, customer_account="acme") for index in range(2)]
    sql = SqlBooks(database)
    await sql.open_accounts(["acme"])

    with colliding(database, "INTO ledger_entry", lambda before: before < collisions) as begun:
        if not is_booked:
            with pytest.raises(Collided):
                await sql.book(batch)
            assert len(begun) == collisions
        booked = await sql.book(batch)
    assert (booked.standings["acme"], booked.repeated) == (Standing(-2 * FEE, 2), frozenset())


async def test_a_poll_returns_only_the_accounts_that_changed_after_its_mark(store):
    await store.books.open_accounts(["a", "b", "c"])
    everything = await store.books.standings()
    await store.books.book([answered_call(1, customer_account="a", vendor_account="b")])
    changes = await store.books.standings(everything.mark)
    assert changes.standings == {"a": Standing(-FEE, 1), "b": Standing(-COST, 1)}
    assert (await store.books.standings(changes.mark)).standings == {}
    assert (await store.books.standings(changes.mark)).mark == changes.mark


async def test_a_retry_that_books_nothing_new_leaves_the_poll_silent(store):
    record = answered_call(1)
    await store.books.book([record])
    mark = (await store.books.standings()).mark
    await store.books.book([record])
    assert (await store.books.standings(mark)).standings == {}


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"call_id": "not-a-uuid"}, "not a UUID"),
        ({"customer_account": "x" * 65}, "cannot name anything"),
        ({"customer_account": "acme "}, "cannot name anything"),
        ({"fee": Decimal("0.000000001")}, "decimals"),
        ({"fee": Decimal("NaN"), "postings": ()}, "decimals"),
        ({"hold_time_ms": 2**70}, "(?i)no number|too large|out of range"),
        ({"started_at": 10**18}, "calendar"),
        ({"postings": (Posting("acme", Decimal(-1), "r" * 129),)}, "cannot name anything"),
        (
            {"postings": (Posting("acme", Decimal(-1), "r"), Posting("acme", Decimal(-2), "r"))},
            "(?i)same account|unique|duplicate",
        ),
    ],
)
async def test_one_bad_record_does_not_keep_the_others_out(store, spoilt, reason):
    bad = answered_call(50, **spoilt)
    good = [answered_call(index, customer_account="acme", vendor_account="v") for index in range(7)]
    with pytest.raises(RejectedRecords, match=reason) as rejection:
        await store.books.book([*good[:3], bad, *good[3:]])
    assert [each.record for each in rejection.value.rejected] == [bad]
    assert rejection.value.booked.standings["acme"] == Standing(-7 * FEE, 7)
    assert len(await store.queries.calls(CallFilter())) == 7
    assert await store.queries.standing("acme") == Standing(-7 * FEE, 7)


async def test_two_bad_records_are_both_reported(store):
    bad = [answered_call(50, call_id="x"), answered_call(51, fee=Decimal("1e-9"))]
    await store.books.book([answered_call(2)])
    with pytest.raises(RejectedRecords) as rejection:
        await store.books.book([answered_call(1), bad[0], answered_call(2), bad[1]])
    reasons = {each.record.call_id: each.reason for each in rejection.value.rejected}
    assert reasons.keys() == {"x", call_id(51)}
    assert rejection.value.booked.repeated == {call_id(2)}
    assert "call id 'x' is not a UUID" in reasons["x"]
    assert "decimals" in reasons[call_id(51)]


async def test_a_reference_of_another_call_is_refused_and_not_taken_for_a_retry(store):
    await store.books.book([answered_call(1, customer_account="acme")])
    thief = answered_call(2, postings=(Posting("acme", Decimal(-5), f"{call_id(1)}/customer"),))
    with pytest.raises(RejectedRecords, match="booked for another call"):
        await store.books.book([thief, answered_call(3, customer_account="acme")])
    assert await store.queries.standing("acme") == Standing(-2 * FEE, 2)
    assert await store.queries.call(call_id(2)) is None


HOSTILE = [
    "'; DROP TABLE cdr; --",
    '" OR ""="',
    "back\\slash\\' and \\\\",
    "100%s of %(x)s %",
    "tab\tline\nreturn\rescape\x1b\x1a",
    "emoji \N{TELEPHONE RECEIVER} and \N{LATIN SMALL LETTER E WITH ACUTE}",
    ":name ?1 $2 {brace}",
    "\N{FULLWIDTH APOSTROPHE}\N{MODIFIER LETTER PRIME}",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_text_from_the_internet_is_stored_as_it_came(store, text):
    record = answered_call(1, caller_in=text, callee_in=text, sip_call_id_in=text, rate_area=text)
    await store.books.book([record])
    stored = await store.queries.call(record.call_id)
    assert stored is not None
    assert stored.record == msgspec.structs.replace(record, postings=())
    assert [call.record.call_id for call in await store.queries.calls(CallFilter(callee=text))] == [call_id(1)]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_account_name_is_only_a_name(store, text):
    await store.books.book([answered_call(1, customer_account=text)])
    assert await store.queries.standing(text) == Standing(-FEE, 1)


async def test_bytes_that_are_no_text_are_stored_readably(store):
    torn = b"caller\xff\xfe\x00".decode("utf-8", "surrogateescape")
    await store.books.book([answered_call(1, caller_in=torn, callee_in="\ud83d")])
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    assert stored.record.caller_in == r"caller\udcff\udcfe\x00"
    assert stored.record.callee_in == r"\ud83d"


async def test_text_that_is_too_long_is_cut_to_its_column(store):
    long = "\N{TELEPHONE RECEIVER}" * 300
    await store.books.book([answered_call(1, caller_in=long, sip_call_id_in=long, node=long)])
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    assert stored.record.caller_in == long[:64]
    assert stored.record.sip_call_id_in == long[:255]
    assert stored.record.node == long[:64]


async def test_names_that_differ_only_in_case_or_accent_are_different_accounts(store):
    names = ["acme", "Acme", "\N{LATIN SMALL LETTER A WITH ACUTE}cme"]
    await store.books.book([answered_call(index, customer_account=name) for index, name in enumerate(names)])
    for name in names:
        assert await store.queries.standing(name) == Standing(-FEE, 1)


async def test_large_balances_are_exact_to_the_last_digit(store):
    fees = [Decimal("12345678901.12345678"), Decimal("0.00000001"), Decimal("9876543210.99999999")]
    await store.books.book([answered_call(index, customer_account="acme", fee=fee) for index, fee in enumerate(fees)])
    standing = await store.queries.standing("acme")
    assert standing is not None
    assert standing.balance == Decimal("-22222222112.12345678")


async def test_a_batch_of_many_accounts_is_booked_whole(store):
    calls = [answered_call(i, customer_account=f"c{i:04}", vendor_account=f"v{i % 3}") for i in range(600)]
    standings = (await store.books.book(calls)).standings
    assert len(standings) == 603
    assert standings["v0"] == Standing(-200 * COST, 200)
    assert len(await store.queries.calls(CallFilter(limit=1000))) == 600


async def test_what_calls_of_accounts_cost_since_a_moment_is_added_up(store, monkeypatch):
    calls = [answered_call(number, customer_account="acme", ended_at=1_000 * number) for number in range(1, 8)]
    await store.books.book([*calls, answered_call(8, customer_account="bingo", ended_at=6_000)])
    await store.payments.add(
        Payment(account="acme", kind=EntryKind.PAYMENT, reference="p", made_at=9_000, amount=Decimal(5))
    )
    wanted = [("acme", 5_000), ("acme", 0), ("bingo", 5_000), ("bingo", 7_000), ("idle", 0)]
    for page, accounts in ((2_000, 50), (2, 50), (2, 1), (1, 50)):
        monkeypatch.setattr(books, "_ENTRIES_AT_ONCE", page)
        monkeypatch.setattr(books, "_ADDED_AT_ONCE", accounts)
        assert await store.books.spent_since(wanted) == [3 * FEE, 7 * FEE, FEE, 0, 0]


async def test_costs_that_fit_in_no_balance_are_added_up(store):
    fee = Decimal(60_000_000_000)
    for number in range(2):
        await store.books.book([answered_call(number, customer_account="acme", fee=fee, ended_at=1_000)])
        payment = Payment(account="acme", kind=EntryKind.PAYMENT, reference=f"p{number}", made_at=1_000, amount=fee)
        await store.payments.add(payment)
    assert await store.books.spent_since([("acme", 0)]) == [2 * fee]


async def test_what_calls_of_many_accounts_cost_is_asked_together(database):
    """A start asks for the hour and the day of each account with limits: it took longer than the lease."""
    held, names = SqlBooks(database), [f"account-{number}" for number in range(100)]
    await held.book([answered_call(number, customer_account=name) for number, name in enumerate(names)])
    with statements_of(database, "ledger_entry") as asked:
        assert await held.spent_since([(name, since) for name in names for since in (0, 1)]) == [FEE] * 200
    assert len(asked) == 4


async def test_the_standings_of_some_accounts_are_those_of_all(store):
    await store.books.book([answered_call(1, customer_account="a", vendor_account="b")])
    await store.books.open_accounts(["c"])
    everything = (await store.books.standings()).standings
    some = await store.books.standings_of(["a", "c", "unknown"])
    assert some.standings == {name: everything[name] for name in ("a", "c")}
    assert (await store.books.standings_of([])).standings == {}


async def test_a_new_account_takes_the_first_currency_that_a_batch_names(store):
    plain, named = answered_call(1, customer_account="acme"), answered_call(2, customer_account="acme")
    without = tuple(msgspec.structs.replace(each, currency=None) for each in plain.postings)
    await store.books.book([msgspec.structs.replace(plain, postings=without), named])
    assert await store.books.currencies(["acme"]) == {"acme": "USD"}


async def test_a_record_in_another_currency_leaves_its_accounts_with_their_rows(store):
    await store.books.book([answered_call(1, customer_account="acme")])
    mark = (await store.books.standings()).mark
    other = answered_call(2, customer_account="acme", vendor_account="globex")
    euros = tuple(msgspec.structs.replace(each, currency="EUR") for each in other.postings)
    with pytest.raises(RejectedRecords) as refused:
        await store.books.book([msgspec.structs.replace(other, postings=euros)])
    assert refused.value.booked.standings == {"acme": Standing(-FEE, 1), "globex": Standing(Decimal(0), 0)}
    changed = await store.books.standings(mark)
    assert (changed.standings, changed.currencies) == ({"globex": Standing(Decimal(0), 0)}, {"globex": "EUR"})


async def test_a_balance_that_no_column_holds_is_refused_with_its_call(store):
    most = Decimal(90000000000)
    paid = Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=0, amount=most)
    await store.payments.add(paid)
    large = answered_call(1, customer_account="acme", vendor_account="globex", fee=Decimal(-999999999999))
    with pytest.raises(RejectedRecords) as refused:
        await store.books.book([large])
    assert refused.value.booked.standings == {}
    assert await store.queries.standing("globex") is None
    assert await store.queries.standing("acme") == Standing(most, 1)
