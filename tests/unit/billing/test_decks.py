"""What an import makes of a deck: which rates stay, end, begin; how the changes are counted; what a number costs."""

import msgspec
import pytest

from vosd.billing.deck_changes import EXAMPLES_MAX, DeckChangeKind, DeckChanges, Example, Fallback, Planned
from vosd.billing.deck_rows import cut
from vosd.billing.decks import Mode, find, merged

NOW = "2026-11-21T12:00:00.000Z"
PAST = "2026-01-01T00:00:00.000Z"
MIDDLE = "2026-11-25T00:00:00.000Z"
SOON = "2026-12-01T00:00:00.000Z"
LATER = "2027-01-01T00:00:00.000Z"


def line(
    prefix: str, price: str = "0.01", begins: str = "", ends: str = "", closed: str = "", others: str = ",60"
) -> str:
    return ",".join((prefix, begins, ends, closed, price, others))


def imported(
    old: list[str], new: list[str], mode: Mode = Mode.FULL, effective: str = ""
) -> tuple[list[str], dict[DeckChangeKind, int]]:
    changes = DeckChanges()
    lines = [*merged(sorted(old), sorted(new), mode, changes, now=NOW, effective=effective)]
    assert lines == sorted(lines)
    assert changes.rows == len(lines)
    return lines, {kind: count for kind, count in changes.counts.items() if count}


def test_the_first_import_is_the_file():
    new = [line("*"), line("1"), line("44"), line("4420")]
    assert imported([], new) == (new, {DeckChangeKind.NEW: 4})


def test_the_lines_of_text_are_in_the_order_of_prefixes_and_begins():
    ordered = [line("*"), line("44"), line("44", begins=SOON), line("44", begins=LATER), line("440"), line("45")]
    assert sorted([*ordered[3:], *ordered[:3]]) == ordered


def test_each_prefix_is_counted_by_how_its_price_changes():
    old = [line("1", "0.01"), line("2", "0.01"), line("3", "0.01"), line("4", "0.010"), line("5"), line("6")]
    new = [
        line("1", "0.02"),
        line("2", "0.005"),
        line("3", "0.01", others=",1"),
        line("4", "0.01"),
        line("6"),
        line("7"),
    ]
    lines, counts = imported(old, new)
    assert lines == new
    assert counts == {
        DeckChangeKind.UP: 1, DeckChangeKind.DOWN: 1, DeckChangeKind.CHANGED: 1,
        DeckChangeKind.UNCHANGED: 2, DeckChangeKind.CLOSED: 1, DeckChangeKind.NEW: 1,
    }  # fmt: skip


def test_a_new_prefix_may_come_before_all_others():
    assert imported([line("2", "0.05")], [line("1"), line("2", "0.05")]) == (
        [line("1"), line("2", "0.05")],
        {DeckChangeKind.NEW: 1, DeckChangeKind.UNCHANGED: 1},
    )


def test_a_new_prefix_with_several_rates_is_counted_by_its_last_one():
    changes = DeckChanges()
    new = [line("1", "0.01", ends=SOON), line("1", "0.02", SOON)]
    assert [*merged([], new, Mode.FULL, changes, now=NOW)] == new
    assert changes.examples[DeckChangeKind.NEW] == [Example("1", None, "0.02", begins=SOON)]


def test_a_full_import_closes_what_the_file_does_not_have_and_a_partial_one_keeps_it():
    old = [line("1"), line("2")]
    assert imported(old, [line("1")]) == ([line("1")], {DeckChangeKind.UNCHANGED: 1, DeckChangeKind.CLOSED: 1})
    assert imported(old, [line("1")], Mode.DELTA) == (old, {DeckChangeKind.UNCHANGED: 2})


def test_a_closed_prefix_stays_in_the_deck_as_closed():
    closed = line("2", "0", closed="yes")
    assert imported([line("1"), line("2")], [closed], Mode.DELTA) == (
        [line("1"), closed],
        {DeckChangeKind.UNCHANGED: 1, DeckChangeKind.CLOSED: 1},
    )
    assert imported([closed, line("3")], [line("3")], Mode.DELTA)[0] == [closed, line("3")]
    assert imported([closed], [closed])[1] == {DeckChangeKind.UNCHANGED: 1}
    assert imported([closed], [line("2", "0", closed="yes", others=",1")])[1] == {DeckChangeKind.UNCHANGED: 1}
    assert imported([], [closed])[1] == {DeckChangeKind.CLOSED: 1}


def test_a_closed_prefix_that_gets_a_rate_or_is_taken_out_is_opened_again():
    closed = line("2", "0", closed="yes")
    assert imported([closed], [line("2")], Mode.DELTA)[1] == {DeckChangeKind.OPENED: 1}
    assert imported([closed, line("3")], [line("3")])[1] == {DeckChangeKind.OPENED: 1, DeckChangeKind.UNCHANGED: 1}
    assert imported([closed, line("3")], [line("3")], effective=SOON)[1] == {
        DeckChangeKind.OPENED: 1,
        DeckChangeKind.UNCHANGED: 1,
    }
    ending = line("2", "0", ends=SOON, closed="yes")
    assert imported([ending, line("3")], [line("3")], effective=LATER)[1] == {DeckChangeKind.UNCHANGED: 2}


@pytest.mark.parametrize("effective", ["", SOON])
def test_a_prefix_that_is_taken_out_is_named_with_the_rate_that_its_numbers_have_then(effective: str):
    changes = DeckChanges()
    closed, rest = line("44", "0", closed="yes"), line("*", "0.5")
    taken_out = [line("4470"), line("447012"), line("49"), line("4901"), line("4910", "0", closed="yes")]
    old = sorted([rest, line("1"), closed, line("491", "0.02"), *taken_out])
    new = [rest, line("1"), closed]
    assert [*merged(old, new, Mode.FULL, changes, now=NOW, effective=effective)]
    found = {
        each.prefix: each.fallback
        for kind in (DeckChangeKind.CLOSED, DeckChangeKind.OPENED)
        for each in changes.examples[kind]
    }
    others = Fallback("*", "0.5")
    locked = Fallback("44", None)
    assert found == {
        "4470": locked, "447012": locked, "49": others, "4901": others, "491": others, "4910": others,
    }  # fmt: skip
    assert [each.prefix for each in changes.examples[DeckChangeKind.OPENED]] == ["4910"]
    assert (changes.fallen, changes.unrated) == (4, 0)


def test_a_prefix_that_is_taken_out_and_has_no_shorter_one_has_no_rate():
    changes = DeckChanges()
    assert [*merged([line("1"), line("2"), line("20")], [line("1")], Mode.FULL, changes, now=NOW)]
    assert [(each.taken_out, each.fallback) for each in changes.examples[DeckChangeKind.CLOSED]] == [(True, None)] * 2
    assert (changes.fallen, changes.unrated) == (0, 2)
    kept = DeckChanges()
    assert [*merged([line("2"), line("20")], [line("2")], Mode.FULL, kept, now=NOW)]
    assert kept.examples[DeckChangeKind.CLOSED] == [Example("20", "0.01", None, True, Fallback("2", "0.01"))]


def test_other_columns_that_change_are_named_with_both_texts():
    changes = DeckChanges("prefix,effective_from,effective_to,locked,billing_rate,area,interval")
    old, new = line("44", others='"London, City",60/60'), line("44", others='"London, City",1/1')
    assert [*merged([old], [new], Mode.FULL, changes, now=NOW)] == [new]
    assert changes.examples[DeckChangeKind.CHANGED] == [
        Example("44", "0.01", "0.01", others={"interval": ("60/60", "1/1")})
    ]


def test_a_partial_file_leaves_columns_that_it_lacks_as_they_are_when_its_rates_begin():
    changes = DeckChanges("prefix,effective_from,effective_to,locked,billing_rate,area,interval")
    old = [line("44", "0.01", PAST, SOON, others="UK,60/60"), line("44", "0.02", SOON, others='"London, UK",1/1')]
    new = [line("44", "0.03", SOON, LATER, others="Britain,"), line("44", "0.04", LATER, others="Britain,")]
    merged_lines = [*merged(old, new, Mode.DELTA, changes, now=NOW, absent=["interval"])]
    assert merged_lines == [
        line("44", "0.01", PAST, SOON, others="UK,60/60"),
        line("44", "0.03", SOON, LATER, others="Britain,1/1"),
        line("44", "0.04", LATER, others="Britain,1/1"),
    ]
    between = [line("44", "0.03", MIDDLE, LATER, others="Britain,"), line("44", "0.04", LATER, others="Britain,")]
    assert [*merged(old, between, Mode.DELTA, changes, now=NOW, absent=["interval"])] == [
        line("44", "0.01", PAST, MIDDLE, others="UK,60/60"),
        line("44", "0.03", MIDDLE, LATER, others="Britain,60/60"),
        line("44", "0.04", LATER, others="Britain,1/1"),
    ]
    whole = [line("44", "0.05", others="Britain,")]
    assert [*merged(old, whole, Mode.FULL, changes, now=NOW, absent=["interval"])] == whole
    first = line("45", "0.01", SOON, others="UK,60/60")
    (found,) = merged([first], [line("45", "0.02", others="UK,")], Mode.DELTA, changes, now=NOW, absent=["interval"])
    assert found == line("45", "0.02", others="UK,60/60")


def test_until_an_import_comes_into_force_the_old_rates_hold():
    lines, counts = imported([line("1", "0.01"), line("2")], [line("1", "0.02", SOON)], effective=SOON)
    assert lines == [line("1", "0.01", ends=SOON), line("1", "0.02", SOON), line("2", ends=SOON)]
    assert counts == {DeckChangeKind.UP: 1, DeckChangeKind.CLOSED: 1}


def test_a_prefix_that_ends_later_is_named_with_that_moment_and_the_rate_that_holds_then():
    changes = DeckChanges()
    old = [line("2", "0.01"), line("20", "0.03"), line("21", "0.04")]
    new = [line("2", "0.02", SOON), line("21", "0.05", LATER), line("3", "0.01", SOON)]
    lines = [*merged(old, new, Mode.FULL, changes, now=NOW, effective=SOON)]
    assert line("20", "0.03", ends=SOON) in lines
    assert changes.examples[DeckChangeKind.CLOSED] == [
        Example("20", "0.03", None, True, Fallback("2", "0.02"), begins=SOON)
    ]
    assert [each.begins for kind in (DeckChangeKind.NEW, DeckChangeKind.UP) for each in changes.examples[kind]] == [
        SOON,
        SOON,
        LATER,
    ]
    later = DeckChanges()
    assert [*merged(old, [line("2", "0.02", LATER)], Mode.FULL, later, now=NOW, effective=SOON)]
    assert later.examples[DeckChangeKind.CLOSED][0].fallback == Fallback("2", "0.01")  # 0.02 begins behind that moment


def test_a_prefix_that_the_file_takes_out_ends_when_its_line_begins():
    gone, soon = line("20", "0", closed="out"), line("21", "0", SOON, closed="out")
    lines, counts = imported(
        [line("2"), line("20"), line("21")], [gone, soon, line("29", "0", closed="out")], Mode.DELTA
    )
    assert lines == [line("2"), line("21", ends=SOON)]
    assert counts == {DeckChangeKind.CLOSED: 2, DeckChangeKind.UNCHANGED: 1}
    back = [line("20", "0", closed="out"), line("20", "0.5", SOON)]
    assert imported([line("20")], back)[0] == [line("20", "0.5", SOON)]
    again = [line("20", "0.5"), line("20", "0", SOON, closed="out")]
    assert imported([line("20")], again)[0] == [line("20", "0.5", ends=SOON)]


def test_a_rate_that_goes_on_unchanged_is_not_cut_in_two():
    assert imported([line("1")], [line("1", begins=SOON)], effective=SOON) == (
        [line("1")],
        {DeckChangeKind.UNCHANGED: 1},
    )


def test_a_rate_with_the_same_terms_that_begins_behind_a_gap_does_not_fill_it():
    old = [line("1", ends=MIDDLE)]
    assert imported(old, [line("1", begins=SOON)], Mode.DELTA)[0] == [*old, line("1", begins=SOON)]


def test_a_later_import_for_an_earlier_moment_replaces_the_rates_that_would_have_begun_behind_it():
    old = [line("1", "0.01", ends=LATER), line("1", "0.03", LATER)]
    assert imported(old, [line("1", "0.02", SOON)])[0] == [line("1", "0.01", ends=SOON), line("1", "0.02", SOON)]


def test_rates_that_have_ended_are_dropped_when_their_prefix_changes():
    old = [line("1", "0.01", ends=PAST), line("1", "0.02", PAST)]
    assert imported(old, [line("1", "0.03", SOON)])[0] == [line("1", "0.02", PAST, SOON), line("1", "0.03", SOON)]
    assert imported(old, [line("1", "0.03", PAST)])[0] == [line("1", "0.03", PAST)]


def test_a_prefix_that_has_ended_counts_as_new_when_it_comes_back():
    assert imported([line("1", ends=PAST)], [line("1", begins=SOON)])[1] == {DeckChangeKind.NEW: 1}
    assert imported([line("1", ends=NOW)], [line("1", begins=SOON)])[1] == {DeckChangeKind.NEW: 1}
    assert imported([line("1", ends=PAST)], [line("2")])[1] == {DeckChangeKind.UNCHANGED: 1, DeckChangeKind.NEW: 1}


def test_a_prefix_whose_rates_have_all_ended_is_taken_out():
    changes = DeckChanges()
    old = [line("4", "0.02"), line("44"), line("45"), line("46", "0.01", PAST)]
    ended = [line("44", "0.01", "", PAST), line("45", "0.03", "", NOW), line("46", "0.01", PAST, NOW)]
    new = [line("4", "0.02"), *ended, line("47", ends=PAST)]
    assert [*merged(old, new, Mode.FULL, changes, now=NOW)] == new
    assert {kind: count for kind, count in changes.counts.items() if count} == {
        DeckChangeKind.CLOSED: 3,
        DeckChangeKind.UNCHANGED: 2,
    }
    assert changes.examples[DeckChangeKind.CLOSED] == [
        Example(gone, "0.01", None, True, Fallback("4", "0.02")) for gone in ("44", "45", "46")
    ]
    assert (changes.lost, changes.fallen, changes.unrated) == (3, 3, 0)


def test_of_several_rates_the_last_one_that_has_not_ended_is_compared():
    promotion = line("1", "0.005", PAST, NOW)
    changes = DeckChanges()
    assert [*merged([line("1")], [line("1"), promotion], Mode.FULL, changes, now=NOW)] == [line("1"), promotion]
    assert changes.counts[DeckChangeKind.UNCHANGED] == 1
    assert imported([line("1"), promotion], [line("1", "0.02")])[1] == {DeckChangeKind.UP: 1}


PLANNED = [line("44", "0.01", PAST, SOON), line("44", "0.05", SOON)]
"""A deck with a rise to come."""


def compared(old: list[str], *new: str, mode: Mode = Mode.FULL, until: str = "") -> DeckChanges:
    changes = DeckChanges(notice_until=until)
    for _ in merged(sorted(old), sorted(new), mode, changes, now=NOW):
        pass
    return changes


@pytest.mark.parametrize(
    ("new", "kind", "example"),
    [
        pytest.param(
            [line("44", "0.05")], DeckChangeKind.UP, Example("44", "0.01", "0.05", planned=Planned("0.05", SOON)),
            id="brought forward, at once",
        ),
        pytest.param(
            [line("44", "0.05", MIDDLE)], DeckChangeKind.UP,
            Example("44", "0.01", "0.05", begins=MIDDLE, planned=Planned("0.05", SOON)), id="brought forward",
        ),
        pytest.param(
            [line("44", "0.06")], DeckChangeKind.UP, Example("44", "0.01", "0.06", planned=Planned("0.05", SOON)),
            id="another price at once",
        ),
        pytest.param(
            [line("44", "0.06", SOON)], DeckChangeKind.UP, Example("44", "0.05", "0.06", begins=SOON),
            id="another price then",
        ),
        pytest.param(
            [line("44", "0.06", LATER)], DeckChangeKind.UP, Example("44", "0.05", "0.06", begins=LATER),
            id="another price behind it",
        ),
        pytest.param(
            [line("44", "0.01")], DeckChangeKind.DOWN, Example("44", "0.05", "0.01", begins=SOON), id="dropped"
        ),
        pytest.param(
            [line("44", "0.005")], DeckChangeKind.DOWN, Example("44", "0.01", "0.005", planned=Planned("0.05", SOON)),
            id="dropped for a lower price",
        ),
        pytest.param(
            [line("44", "0.01"), line("44", "0.05", LATER)], DeckChangeKind.CHANGED,
            Example("44", "0.05", "0.05", begins=LATER, planned=Planned("0.05", SOON)), id="put off",
        ),
        pytest.param(
            [line("44", "0.01"), line("44", "0.06", LATER)], DeckChangeKind.UP,
            Example("44", "0.05", "0.06", begins=LATER, planned=Planned("0.05", SOON)), id="put off and dearer",
        ),
        pytest.param(
            [line("44", "0.02", MIDDLE, SOON), line("44", "0.05", SOON)], DeckChangeKind.UP,
            Example("44", "0.01", "0.02", begins=MIDDLE), id="a step before it",
        ),
        pytest.param(
            [line("44", "0.03")], DeckChangeKind.UP, Example("44", "0.01", "0.03", planned=Planned("0.05", SOON)),
            id="a smaller rise at once",
        ),
        pytest.param(
            [line("44", "0", closed="yes")], DeckChangeKind.CLOSED,
            Example("44", "0.01", None, planned=Planned("0.05", SOON)), id="closed before it",
        ),
        pytest.param(
            [line("44", "0", closed="out")], DeckChangeKind.CLOSED, Example("44", "0.01", None, taken_out=True),
            id="taken out before it",
        ),
        pytest.param([], DeckChangeKind.CLOSED, Example("44", "0.01", None, taken_out=True), id="not in the file"),
        pytest.param(
            [line("44", "0", LATER, closed="out")], DeckChangeKind.CLOSED,
            Example("44", "0.05", None, taken_out=True, begins=LATER), id="taken out behind it",
        ),
    ],
)  # fmt: skip
def test_a_rate_to_come_is_compared_with_the_one_that_would_have_held_then(
    new: list[str], kind: DeckChangeKind, example: Example
):
    changes = compared([*PLANNED, line("49")], *new, line("49"))
    assert changes.examples[kind] == [example]
    assert (changes.counts[kind], changes.counts[DeckChangeKind.UNCHANGED]) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "short"),
    [
        (PLANNED, [line("44", "0.05")], [Example("44", "0.01", "0.05")]),
        (PLANNED, [line("44", "0.05", MIDDLE)], [Example("44", "0.01", "0.05", begins=MIDDLE)]),
        (PLANNED, [line("44", "0.06")], [Example("44", "0.01", "0.06")]),
        (PLANNED, [line("44", "0.06", SOON)], []),
        (PLANNED, [line("44", "0.01"), line("44", "0.05", LATER)], []),
        (PLANNED, [line("44", "0.01")], []),
        # a rate that has ended when a lower price was to begin
        ([line("44", "0.10", ends=SOON), line("44", "0.05", SOON)], [line("44", "0.10", ends=MIDDLE)], []),
        # a rise that does not last
        ([line("44")], [line("44", "0.05", ends=SOON), line("44", "0.01", SOON)], [Example("44", "0.01", "0.05")]),
        ([line("44")], [line("44", "0.05"), line("44", "0", MIDDLE, closed="out")], [Example("44", "0.01", "0.05")]),
        # a lower price that was to come soon
        (
            [line("44", "0.05", ends=MIDDLE), line("44", "0.01", MIDDLE)],
            [line("44", "0.05")],
            [Example("44", "0.01", "0.05", begins=MIDDLE)],
        ),
    ],
)
def test_increases_at_short_notice_are_those_over_the_price_in_force_then(old, new, short):
    changes = compared(old, *new, until=SOON)
    assert [msgspec.structs.replace(each, others={}) for each in changes.short_examples] == short
    assert changes.short == len(short)


def test_a_prefix_that_is_taken_out_before_a_lower_price_of_it_begins_is_no_increase():
    changes = DeckChanges(notice_until=LATER)
    old = [line("49", "0.10", ends=SOON), line("49", "0.05", SOON), line("50")]
    assert [*merged(old, [line("50")], Mode.FULL, changes, now=NOW, effective=MIDDLE)]
    assert changes.examples[DeckChangeKind.CLOSED] == [Example("49", "0.10", None, taken_out=True, begins=MIDDLE)]
    assert not changes.short


def test_a_rise_behind_a_price_that_ends_before_it_is_found():
    promotion = line("1", "0.005", PAST, SOON)
    changes = compared([line("1", "0.01"), promotion], line("1", "0.03"), promotion, until=LATER)
    assert changes.examples[DeckChangeKind.UP] == [Example("1", "0.01", "0.03", begins=SOON)]
    assert changes.short_examples == changes.examples[DeckChangeKind.UP]


def test_a_new_prefix_to_come_that_is_brought_forward_put_off_or_dropped():
    planned = line("44", "0.01", SOON)
    assert compared([planned], line("44"), mode=Mode.DELTA).examples[DeckChangeKind.NEW] == [
        Example("44", None, "0.01", planned=Planned("0.01", SOON))
    ]
    early = compared([planned], line("44", "0.01", LATER), mode=Mode.DELTA)
    assert (early.counts[DeckChangeKind.UNCHANGED], early.early) == (1, 1)
    dropped = compared([planned], line("49"))
    assert dropped.examples[DeckChangeKind.CLOSED] == [Example("44", "0.01", None, taken_out=True, begins=SOON)]


def test_the_first_rate_of_a_new_prefix_is_put_off_where_the_sheet_also_has_one_that_has_ended():
    ended = line("44", "0.01", "2026-11-01T00:00:00.000Z", "2026-11-05T00:00:00.000Z")
    changes = compared([line("44", "0.01", MIDDLE)], ended, line("44", "0.01", SOON))
    assert changes.examples[DeckChangeKind.CHANGED] == [
        Example("44", "0.01", "0.01", begins=SOON, planned=Planned("0.01", MIDDLE))
    ]
    assert (changes.counts[DeckChangeKind.CLOSED], changes.lost, changes.unrated) == (0, 0, 0)
    gap = compared([line("44", "0.01")], ended, line("44", "0.01", SOON))
    assert gap.examples[DeckChangeKind.CLOSED] == [Example("44", "0.01", None, taken_out=True)]


def test_a_rise_and_a_lower_price_behind_it_that_are_dropped_make_a_prefix_dearer():
    old = [line("49", "0.10", ends=MIDDLE), line("49", "0.20", MIDDLE, SOON), line("49", "0.05", SOON)]
    changes = compared(old, line("49", "0.10"))
    assert changes.examples[DeckChangeKind.UP] == [
        Example("49", "0.05", "0.10", begins=SOON, planned=Planned("0.20", MIDDLE))
    ]
    assert not changes.examples[DeckChangeKind.DOWN]
    put_off = compared(old, line("49", "0.10"), line("49", "0.05", LATER))
    assert put_off.examples[DeckChangeKind.CHANGED] == [
        Example("49", "0.05", "0.05", begins=LATER, planned=Planned("0.20", MIDDLE))
    ]
    lower = compared(old, line("49", "0.08"))
    assert lower.examples[DeckChangeKind.DOWN] == [Example("49", "0.10", "0.08", planned=Planned("0.05", SOON))]


def test_a_rate_that_the_deck_has_from_an_earlier_time_to_come_begins_then_and_is_named():
    lines = [*merged(PLANNED, [line("44", "0.05", LATER)], Mode.FULL, changes := DeckChanges(), now=NOW)]
    assert lines == PLANNED
    assert changes.counts[DeckChangeKind.UNCHANGED] == 1
    assert (changes.early, changes.early_examples) == (1, [Example("44", "0.05", "0.05", begins=SOON)])
    in_force = compared([line("44", "0.05", PAST)], line("44", "0.05", LATER))
    assert in_force.early == 0
    assert compared(PLANNED, line("44", "0.05", MIDDLE)).early == 0


def test_the_end_of_a_rate_is_named_where_it_changes():
    changes = DeckChanges()
    never = "9999-12-31T23:59:59.999Z"
    old = [line("1"), line("2"), line("3"), line("4", ends=SOON), line("5", "0", closed="yes"), line("6")]
    new = [
        line("1", "0.005", SOON, LATER),
        line("2", ends=SOON),
        line("3", ends=never),
        line("4"),
        line("5", "0", ends=SOON, closed="yes"),
        line("6", "0", ends=SOON, closed="yes"),
        line("7", ends=SOON),
    ]
    assert [*merged(old, new, Mode.DELTA, changes, now=NOW)] == sorted([line("1", ends=SOON), *new])
    assert changes.examples[DeckChangeKind.DOWN] == [
        Example("1", "0.01", "0.005", others={"effective_to": ("", LATER)}, begins=SOON)
    ]
    assert changes.examples[DeckChangeKind.CHANGED] == [
        Example("2", "0.01", "0.01", others={"effective_to": ("", SOON)}),
        Example("4", "0.01", "0.01", others={"effective_to": (SOON, "")}),
        Example("5", None, None, others={"effective_to": ("", SOON)}),
    ]
    assert changes.examples[DeckChangeKind.CLOSED] == [Example("6", "0.01", None, others={"effective_to": ("", SOON)})]
    assert changes.examples[DeckChangeKind.NEW] == [Example("7", None, "0.01", others={"effective_to": ("", SOON)})]
    assert changes.counts[DeckChangeKind.UNCHANGED] == 1


def test_examples_name_the_prices_before_and_after():
    changes = DeckChanges()
    assert [*merged([line("1", "0.01"), line("2"), line("3")], [line("1", "0.02")], Mode.FULL, changes, now=NOW)]
    assert changes.examples[DeckChangeKind.UP] == [Example("1", "0.01", "0.02")]
    assert changes.examples[DeckChangeKind.CLOSED] == [Example(gone, "0.01", None, taken_out=True) for gone in "23"]
    assert (changes.prefixes_before, changes.lost) == (3, 2)


def test_examples_are_bounded():
    changes = DeckChanges()
    new = sorted(line(str(number)) for number in range(1_000))
    assert len([*merged([], new, Mode.FULL, changes, now=NOW)]) == 1_000
    assert len(changes.examples[DeckChangeKind.NEW]) == EXAMPLES_MAX
    assert changes.counts[DeckChangeKind.NEW] == 1_000


@pytest.mark.parametrize(
    ("number", "moment", "found"),
    [
        ("4420123", PAST, ["4420", "44", "*"]),
        ("4421", PAST, ["44", "*"]),
        ("33", PAST, ["*"]),
        ("4477", PAST, ["44", "*"]),  # a longer prefix that is not in force hides nothing
        ("4477", SOON, ["447", "44", "*"]),
        ("4420123", LATER, ["44", "*"]),
    ],
)
def test_a_number_has_the_longest_prefix_in_force(number: str, moment: str, found: list[str]):
    deck = [line("*"), line("44"), line("4420", ends=LATER), line("447", begins=SOON), line("4499")]
    assert [row.prefix for row in find(deck, number, moment)] == found


def test_of_two_rates_in_force_the_one_that_began_last_holds():
    deck = [line("44", "0.01"), line("44", "0.02", PAST), line("44", "0.03", LATER)]
    assert [row.price for row in find(deck, "441", NOW)] == ["0.02"]


def test_a_line_is_cut_into_what_decks_are_compared_by():
    row = cut(line("44", "0.01", PAST, SOON, "", '"London, City",60'))
    assert (row.prefix, row.begins, row.ends, row.price, row.others) == ("44", PAST, SOON, "0.01", '"London, City",60')
    assert row.line == line("44", "0.01", PAST, SOON, "", '"London, City",60')
