"""Decks: the import of an export changes nothing; old rates hold until the new ones are in force, and not longer.

Changes are named as they are at the moments to come.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, strategies as st

from vosd.billing.deck_changes import DeckChangeKind, DeckChanges, Example
from vosd.billing.deck_content import Chunk, header_and_lines, packed
from vosd.billing.deck_rows import cut
from vosd.billing.decks import Mode, find, merged
from vosd.config.decks.conversion import HEADER, SheetReader
from vosd.config.decks.sheets import lines_of
from vosd.config.decks.sorting import in_order
from vosd.config.keys.rates import PricePer

NOW = "2026-11-21T12:00:00.000Z"
SOON = "2026-12-15T00:00:00.000Z"
MOMENTS = (NOW, "2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00.000Z", "2026-12-14T23:59:59.999Z", SOON,
           "2027-01-02T00:00:00.000Z", "2030-01-01T00:00:00.000Z")  # fmt: skip
PREFIXES = ("*", "1", "44", "4420", "4421", "49", "0049", "4" * 32)
NUMBERS = ("1", "441", "4420", "44209", "4422", "50", "0049", "4" * 32)
TERMS = {
    "billing_rate": st.sampled_from(["0.01", "0.010", "7", "0.00000001", "", "+0.5"]),
    "area": st.sampled_from(["", "UK", "London, City", 'the "City"', "M\u00fcnchen", "a;b", "no\u00a0break"]),
    "interval": st.sampled_from(["", "60/60", "030/6"]),
    "rate_type": st.sampled_from(["", "Net", "international"]),
    "tax_rate": st.sampled_from(["", "0", "7.70"]),
    "locked": st.sampled_from(["", "yes", "no"]),
}
TIMES = {
    "effective_from": st.sampled_from(["", "2026-01-01", "2026-12-01T00:00:00Z"]),
    "effective_to": st.sampled_from(["", "2027-01-01"]),
}


def sheets(*columns: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    cells = {name: cell for each in columns for name, cell in each.items()}
    rows = st.dictionaries(st.sampled_from(PREFIXES), st.fixed_dictionaries(cells), min_size=1)
    return rows.map(lambda found: as_csv(found, ["prefix", *cells]))


def as_csv(rows: dict[str, dict[str, str]], header: list[str]) -> str:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    return "\n".join(
        [
            ",".join(header),
            *(",".join([prefix, *(quoted(cells[name]) for name in header[1:])]) for prefix, cells in rows.items()),
        ]
    )


def read(text: str, effective: str = "") -> Sequence[str]:
    with TemporaryDirectory() as name:
        path = Path(name) / "rates.csv"
        path.write_text(text, encoding="utf-8")
        reader = SheetReader(str(path), PricePer.MINUTE, effective=effective)
        lines = [*reader.each_once(in_order(reader.lines(lines_of(path))))]
    assert not reader.problems
    return lines


@given(first=sheets(TERMS, TIMES), second=sheets(TERMS, TIMES), mode=st.sampled_from(Mode), again=st.sampled_from(Mode))
def test_the_import_of_an_export_changes_nothing(first, second, mode, again):
    deck: list[str] = []
    for text in (first, second):
        deck = [*merged(deck, read(text), mode, DeckChanges(), now=NOW)]
        chunks: list[Chunk] = []
        digest = packed(HEADER, deck, chunks.append)
        header, lines = header_and_lines(chunk.compressed for chunk in chunks)
        assert (header, [*lines]) == (HEADER, deck)
        changes = DeckChanges()
        imported = [*merged(deck, read("\n".join([header, *deck])), again, changes, now=NOW)]
        assert imported == deck
        assert packed(HEADER, imported, chunks.append) == digest
        assert {kind for kind, count in changes.counts.items() if count} <= {DeckChangeKind.UNCHANGED}


@given(
    first=sheets(TERMS, TIMES),
    second=sheets(TERMS, TIMES),
    third=sheets(TERMS, TIMES),
    mode=st.sampled_from(Mode),
    effective=st.sampled_from(["", SOON, "2026-11-25T00:00:00.000Z"]),
)
def test_a_prefix_that_counts_as_unchanged_has_its_rate_at_every_moment_to_come(first, second, third, mode, effective):
    planned = [*merged(read(first), read(second, SOON), Mode.DELTA, DeckChanges(), now=NOW, effective=SOON)]
    changed: set[str] = set()
    changes = DeckChanges(HEADER, each=lambda _kind, example, _before, _after: changed.add(example.prefix))
    deck = [*merged(planned, read(third, effective), mode, changes, now=NOW, effective=effective)]
    for prefix in {line.partition(",")[0] for line in planned + deck} - changed:
        for moment in MOMENTS:
            assert terms_at(deck, prefix, moment) == terms_at(planned, prefix, moment)


def terms_at(deck: Sequence[str], prefix: str, moment: str) -> tuple[Decimal, str] | str | None:
    """Return the price and the other columns of a prefix at a moment, or that it is closed; None = it has no rate."""
    rows = [row for row in map(cut, deck) if row.prefix == prefix and row.holds_at(moment)]
    if not rows:
        return None
    return rows[-1].closed or (Decimal(rows[-1].price), rows[-1].others)


@given(first=sheets(TERMS, TIMES), second=sheets(TERMS), mode=st.sampled_from(Mode))
def test_a_change_comes_into_force_at_its_moment_and_not_before(first, second, mode):
    old, new = read(first), read(second, SOON)
    deck = [*merged(old, new, mode, DeckChanges(), now=NOW, effective=SOON)]
    changed = {line.partition(",")[0] for line in new}
    for moment in MOMENTS:
        for number in NUMBERS:
            found = [row.terms for row in find(deck, number, moment)]
            if moment < SOON:
                assert found == [row.terms for row in find(old, number, moment)]
            else:
                kept = [] if mode is Mode.FULL else [line for line in old if line.partition(",")[0] not in changed]
                assert found == [row.terms for row in find(sorted([*kept, *new]), number, moment)]


DAYS = ("", "2026-11-15T00:00:00.000Z", "2026-11-18T00:00:00.000Z", NOW, "2026-11-25T00:00:00.000Z",
        "2026-12-01T00:00:00.000Z", "2026-12-08T00:00:00.000Z", SOON, "2027-01-02T00:00:00.000Z")  # fmt: skip
NOTICE_UNTIL = "2026-12-10T00:00:00.000Z"
MOMENTS_OF_DAYS = [day for day in DAYS if day >= NOW]


@st.composite
def days_of_rates(draw: st.DrawFn) -> list[str]:
    """Return lines of some prefixes whose rates begin and end at days, also before the import; some are closed."""
    lines = []
    for prefix in draw(st.sets(st.sampled_from(["44", "4420", "49"]))):
        begins = sorted(draw(st.sets(st.sampled_from(DAYS[:-1]), min_size=1, max_size=4)))
        for begin, following in zip(begins, [*begins[1:], ""], strict=True):
            end = draw(st.sampled_from([day for day in DAYS if not day or begin < day <= (following or day)]))
            closed = draw(st.sampled_from(["", "", "", "", "yes"]))
            price = "0" if closed else draw(st.sampled_from(["0.05", "0.1", "0.10", "0.2"]))
            lines.append(f"{prefix},{begin},{end},{closed},{price},,60")
    return sorted(lines)


def price_at(deck: Sequence[str], prefix: str, moment: str) -> Decimal | None:
    """Return the price of a prefix at a moment; None = it has none, or is closed."""
    found = terms_at(deck, prefix, moment)
    return found[0] if isinstance(found, tuple) else None


def changes_of(
    planned: list[str], sheet: list[str], mode: Mode, effective: str = ""
) -> tuple[list[str], DeckChanges, dict[str, tuple[DeckChangeKind, Example]]]:
    """Return the deck after an import, its changes, and the named change of each prefix."""
    named: dict[str, tuple[DeckChangeKind, Example]] = {}
    changes = DeckChanges(
        HEADER,
        notice_until=NOTICE_UNTIL,
        each=lambda kind, example, _before, _after: named.update({example.prefix: (kind, example)}),
    )
    deck = [*merged(planned, sheet, mode, changes, now=NOW, effective=effective)]
    return deck, changes, named


def prefixes_in(*decks: Sequence[str]) -> set[str]:
    return {line.partition(",")[0] for deck in decks for line in deck}


@given(
    planned=days_of_rates(), sheet=days_of_rates(), mode=st.sampled_from(Mode), effective=st.sampled_from(["", DAYS[4]])
)
@example(  # a prefix that is taken out before a lower price of it begins
    planned=[f"49,,{DAYS[5]},,0.10,,60", f"49,{DAYS[5]},,,0.05,,60"],
    sheet=["44,,,,0.1,,60"],
    mode=Mode.FULL,
    effective=DAYS[4],
)
@example(  # a rate that ends before a lower price was to begin
    planned=[f"49,,{DAYS[5]},,0.10,,60", f"49,{DAYS[5]},,,0.05,,60"],
    sheet=[f"49,,{DAYS[4]},,0.10,,60"],
    mode=Mode.DELTA,
    effective="",
)
def test_increases_at_short_notice_are_prices_that_hold_and_are_above_the_planned_ones(planned, sheet, mode, effective):
    deck, changes, _ = changes_of(planned, sheet, mode, effective)
    short = {each.prefix: each for each in changes.short_examples}
    for prefix, each in short.items():
        begins = each.begins or NOW
        assert each.before is not None
        assert each.after is not None
        assert begins < NOTICE_UNTIL
        assert price_at(deck, prefix, begins) == Decimal(each.after)
        assert Decimal(each.before) < Decimal(each.after)
    for prefix in prefixes_in(planned, deck) - set(short):
        for moment in MOMENTS_OF_DAYS:
            before, after = price_at(planned, prefix, moment), price_at(deck, prefix, moment)
            if moment < NOTICE_UNTIL and before is not None and after is not None:
                assert after <= before


@given(planned=days_of_rates(), sheet=days_of_rates(), mode=st.sampled_from(Mode))
@example(  # the first rate of a new prefix is put off, in a sheet with a rate that has ended
    planned=[f"49,{DAYS[4]},,,0.10,,60"],
    sheet=[f"49,{DAYS[1]},{DAYS[2]},,0.05,,60", f"49,{DAYS[5]},,,0.10,,60"],
    mode=Mode.FULL,
)
def test_a_prefix_that_is_named_as_taken_out_has_no_rate_then(planned, sheet, mode):
    deck, _, named = changes_of(planned, sheet, mode)
    for prefix, (_kind, each) in named.items():
        if each.taken_out:
            moments = [NOW] if each.begins is None else [day for day in MOMENTS_OF_DAYS if day >= each.begins]
            assert {terms_at(deck, prefix, moment) for moment in moments} == {None}


@given(planned=days_of_rates(), price=st.sampled_from(["0.05", "0.10", "0.2"]))
@example(  # a rise and a lower price behind it are dropped
    planned=[f"49,,{DAYS[4]},,0.10,,60", f"49,{DAYS[4]},{DAYS[5]},,0.2,,60", f"49,{DAYS[5]},,,0.05,,60"], price="0.10"
)
@example(  # a price with an end, behind which a lower one holds again, is to hold for good
    planned=["49,,,,0.05,,60", f"49,{NOW},{DAYS[4]},,0.1,,60"], price="0.10"
)
def test_a_sheet_with_the_price_in_force_names_the_last_of_the_planned_prices_that_it_drops(planned, price):
    _deck, _, named = changes_of(planned, [f"49,,,,{price},,60"], Mode.DELTA)
    dropped = [(day, price_at(planned, "49", day)) for day in MOMENTS_OF_DAYS]
    if dropped[0][1] != Decimal(price) or None in [each for _day, each in dropped]:
        return
    kind, named_change = named.get("49", (DeckChangeKind.UNCHANGED, None))
    differing = [(day, each) for day, each in dropped if each != Decimal(price)]
    if not differing:
        assert kind in {DeckChangeKind.UNCHANGED, DeckChangeKind.CHANGED}
        return
    assert kind is (DeckChangeKind.UP if differing[-1][1] < Decimal(price) else DeckChangeKind.DOWN)
    if len({each < Decimal(price) for _day, each in differing}) > 1:
        assert named_change.planned is not None
