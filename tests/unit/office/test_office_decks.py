"""Use cases of decks: who may use them, what an import changes, and its line of the audit."""

from contextlib import closing
from typing import Any, Final

import msgspec
import pytest
from doubles.collisions import LOCKED, UNDONE, colliding
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.decks import (
    AlreadyRolledBackError,
    ImportDeck,
    ImportReport,
    ListDeckVersions,
    LookUpRate,
    ManyClosedError,
    NoSuchDeckError,
    Prepared,
    ReadDeck,
    RollBackDeck,
    list_versions,
    look_up,
    prepare_import,
    put_in_force,
    read_deck,
    roll_back,
)
from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import StaleVersionError
from vosd.admin.office.principal import OperatorsOnlyError
from vosd.billing.deck_content import header_and_lines
from vosd.billing.deck_rows import COLUMNS_AHEAD
from vosd.storage.database import Database
from vosd.storage.deck_values import DeckMoved, Way, not_taken_back

NOW: Final = 1_790_000_000_000
HEADER: Final = ",".join((*COLUMNS_AHEAD, "area"))


@pytest.fixture
def office(database: Database) -> Office:
    return office_on(database, builders.account("south"), builders.account("shop", agent="south"), now=NOW)


def sheet(**prices: str) -> list[str]:
    return [f"{prefix.removeprefix('of_')},,,,{price}," for prefix, price in sorted(prices.items())]


async def prepared(office: Office, lines: list[str], **terms: Any) -> closing[Prepared]:
    order = ImportDeck(rate_group="sell", header=HEADER, **terms)
    return closing(await prepare_import(office, operator(), order, lines))


async def imported(office: Office, lines: list[str], **terms: Any) -> ImportReport:
    with await prepared(office, lines, **terms) as made:
        return await put_in_force(office, operator(), made)


async def audited(office: Office) -> list[tuple[str, str, str]]:
    lines = await list_audit(office, operator(), ListAudit())
    return [(line.principal, line.action, line.subject) for line in lines[::-1]]


async def test_an_import_is_a_version_with_a_line_of_the_audit_and_one_that_changes_nothing_is_none(office):
    report = await imported(office, sheet(of_44="0.60", of_4420="0.50"), memo="first")
    assert (report.version, report.replaced, report.rates) == (1, None, 2)
    assert (await imported(office, sheet(of_44="0.60", of_4420="0.50"))).version is None
    (version,) = await list_versions(office, operator(), ListDeckVersions("sell"))
    assert (version.operator, version.made_at, version.way, version.memo) == ("ann", NOW, Way.FULL, "first")
    assert await audited(office) == [("ann", "ImportDeck", "sell")]
    deck, chunks = await read_deck(office, operator(), ReadDeck("sell"))
    assert (deck.version, len(chunks)) == (1, 1)


@pytest.mark.parametrize("error", [UNDONE, LOCKED])
async def test_an_import_that_collides_is_done_again_with_its_whole_content(office, monkeypatch, error):
    monkeypatch.setattr("vosd.storage.database._COLLISION_PAUSES_S", (0, 0))
    with colliding(office.stores.database, "INTO audit", lambda before: before < 2, error) as tries:
        assert (await imported(office, sheet(of_44="0.60", of_4420="0.50"))).version == 1
    assert len(tries) == 3
    deck, chunks = await read_deck(office, operator(), ReadDeck("sell"))
    assert (deck.version, [*header_and_lines(each.compressed for each in chunks)[1]]) == (
        1, sheet(of_44="0.60", of_4420="0.50"),
    )  # fmt: skip
    assert await audited(office) == [("ann", "ImportDeck", "sell")]


async def test_what_is_only_prepared_changes_nothing(office):
    with await prepared(office, sheet(of_44="0.60")) as made:
        assert (made.report().version, made.report().notice_days) == (None, 7)
    assert await list_versions(office, operator(), ListDeckVersions("sell")) == []
    assert await audited(office) == []


async def test_an_import_that_closes_much_has_to_be_confirmed(office):
    await imported(office, sheet(of_33="0.40", of_44="0.60"))
    with pytest.raises(ManyClosedError, match=r"1 of 2 prefixes of deck sell .* say `force`"):
        await imported(office, sheet(of_44="0.60"))
    assert (await imported(office, sheet(of_44="0.60"), is_confirmed=True)).version == 2


async def test_the_second_of_two_imports_at_once_changes_nothing_and_leaves_no_line(office):
    sheets = sheet(of_44="0.60"), sheet(of_44="0.70")
    with await prepared(office, sheets[0]) as first, await prepared(office, sheets[1]) as second:
        await put_in_force(office, operator(), first)
        with pytest.raises(DeckMoved):
            await put_in_force(office, operator("bob"), second)
    assert await audited(office) == [("ann", "ImportDeck", "sell")]


async def test_an_import_is_refused_on_top_of_another_version_than_that_it_was_compared_with(office):
    first, second = sheet(of_44="0.60"), sheet(of_44="0.70")
    assert (await imported(office, first, if_version=0)).version == 1
    for compared_with in (0, 2):
        with pytest.raises(StaleVersionError, match="deck sell has version 1 by now"):
            await imported(office, second, if_version=compared_with)
    assert (await imported(office, second, if_version=1)).version == 2


async def test_a_rollback_is_a_new_version_with_a_line(office):
    await imported(office, sheet(of_44="0.60"))
    with pytest.raises(NoSuchDeckError, match="only one version"):
        await roll_back(office, operator(), RollBackDeck(rate_group="sell"))
    await imported(office, sheet(of_44="0.70"))
    found = await look_up(office, operator(), LookUpRate("sell", "+442079"))
    assert (found.version, found.rate["billing_rate"]) == (2, "0.70")
    with pytest.raises(StaleVersionError, match="has version 2 by now"):
        await roll_back(office, operator(), RollBackDeck(rate_group="sell", if_version=1))
    order = RollBackDeck(rate_group="sell", memo="wrong sheet", if_version=2)
    deck = await roll_back(office, operator("bob"), order)
    assert (deck.version, deck.content, deck.replaced, deck.operator, deck.memo) == (3, 1, 2, "bob", "wrong sheet")
    assert (await look_up(office, operator(), LookUpRate("sell", "442079"))).rate["billing_rate"] == "0.60"
    assert (await audited(office))[-1] == ("bob", "RollBackDeck", "sell")


async def test_a_rollback_whose_answer_was_lost_is_not_taken_back_by_its_repeat(office):
    for price in ("0.60", "0.70"):
        await imported(office, sheet(of_44=price))
    await roll_back(office, operator("bob"), RollBackDeck(rate_group="sell"))
    with pytest.raises(AlreadyRolledBackError, match="already, by bob: version 3 has the rates of 1"):
        await roll_back(office, operator("bob"), RollBackDeck(rate_group="sell"))
    assert len(await list_versions(office, operator(), ListDeckVersions("sell"))) == 3
    again = await roll_back(office, operator(), RollBackDeck(rate_group="sell", if_version=3))
    assert (again.version, again.content) == (4, 2)
    assert (await roll_back(office, operator(), RollBackDeck(rate_group="sell", to=1))).content == 1


async def test_the_first_import_is_taken_back_by_a_version_without_rates(office):
    await imported(office, sheet(of_44="0.60"))
    with pytest.raises(ManyClosedError, match=r"all rates of deck sell .* say `force`"):
        await roll_back(office, operator(), RollBackDeck(rate_group="sell", to=0))
    deck = await roll_back(office, operator(), RollBackDeck(rate_group="sell", to=0, if_version=1))
    assert (deck.version, deck.content, deck.replaced, deck.rates, deck.layout) == (2, 2, 1, 0, None)
    assert (await look_up(office, operator(), LookUpRate("sell", "442079"))).rate is None
    assert list(not_taken_back(await list_versions(office, operator(), ListDeckVersions("sell")))) == [deck]
    with pytest.raises(NoSuchDeckError, match="deck sell has no rates"):
        await roll_back(office, operator(), RollBackDeck(rate_group="sell", to=0))
    with pytest.raises(AlreadyRolledBackError, match="by ann: version 2"):
        await roll_back(office, operator(), RollBackDeck(rate_group="sell"))
    again = await roll_back(office, operator(), RollBackDeck(rate_group="sell", to=1))
    assert (again.version, again.content, again.rates) == (3, 1, 1)
    report = await imported(office, sheet(of_33="0.40", of_44="0.60"))
    assert (report.version, report.rates) == (4, 2)
    assert (await roll_back(office, operator(), RollBackDeck(rate_group="sell", to=0, force=True))).rates == 0


@pytest.mark.parametrize(
    ("use", "order"),
    [
        (prepare_import, ImportDeck(rate_group="sell", header=HEADER)),
        (roll_back, RollBackDeck(rate_group="sell")),
        (read_deck, ReadDeck("sell")),
        (look_up, LookUpRate("sell", "44")),
        (list_versions, ListDeckVersions("sell")),
    ],
)
async def test_decks_are_for_operators(office, use, order):
    with pytest.raises(OperatorsOnlyError):
        await use(office, agent("south"), order, *([[]] if use is prepare_import else []))
    if use is prepare_import:
        with await prepared(office, sheet(of_44="0.60")) as made, pytest.raises(OperatorsOnlyError):
            await put_in_force(office, agent("south"), made)


@pytest.mark.parametrize("order", [ImportDeck(rate_group="sell", header=HEADER), RollBackDeck(rate_group="sell", to=2)])
def test_an_order_is_read_from_json(order):
    assert msgspec.json.decode(msgspec.json.encode(order), type=type(order)) == order
