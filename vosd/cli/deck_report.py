"""Report of an import of a deck: how the file was read, what changes, what becomes of it."""

from collections.abc import Mapping
from typing import Any, Final

from vosd.admin.office.decks import ImportReport
from vosd.billing.deck_changes import Example
from vosd.cli import output
from vosd.config.decks.assumptions import Assumption

_NAMED_ON_SCREEN: Final = 10
_WORDS: Final = {"opened": "opened again"}
"""Kinds of change that are written otherwise than they are called in JSON."""


def show_import(report: ImportReport, document: Mapping[str, Any]) -> None:
    """Print what an import changes, or would."""
    _show_reading(document)
    _show_changes(report)
    margin = document.get("margin")
    if margin is not None:
        output.line(
            f"{margin.calls} calls of the last {margin.days} days: fees {margin.fee_before} to {margin.fee_after}, "
            f"costs {margin.cost_before} to {margin.cost_after}, margin {margin.change} more; {margin.refused} refused"
        )
    if document["invalid_rows"]:
        output.line(f"{output.rows(document['invalid_rows'])} with mistakes: nothing was imported")
    elif document["dry_run"]:
        output.line("nothing was imported: it was only tried")
    elif report.version is None:
        output.line(f"version {report.replaced} has these rates already: nothing was imported")
    else:
        output.line(f"version {report.version} of deck {report.rate_group} is in force")


def _show_reading(document: Mapping[str, Any]) -> None:
    """Print how the file was read, and its mistakes."""
    if document["layout"] is not None:
        output.line(f"read by the layout that was saved from {document['layout']}")
    example = document["example"]
    if example is not None:
        is_cycle = document["price_per"] == "cycle"
        of = f"a billing cycle, here {example['billing_cycle']} s" if is_cycle else "a minute"
        output.line(
            f"prices are of {of}: {example['prefix']} at {example['billing_rate']} is {example['minute']} a minute"
        )
    for each in document["assumed"]:
        output.line(f"assumed: {Assumption(**each)}")
    if document["unread_columns"]:
        output.line(f"columns that are not read: {', '.join(document['unread_columns'])}")
    if document["dialled_prefixes"]:
        shown = ", ".join(document["dialled_examples"])
        more = document["dialled_prefixes"] - len(document["dialled_examples"])
        output.line(
            f"warning: {document['dialled_prefixes']} prefixes begin with 00 and price no number in international form "
            f"(E.164): {shown}{f' and {more} more' if more else ''}; import the codes without 00"
        )
    if document["free_rates"]:
        shown = ", ".join(document["free_examples"])
        more = document["free_rates"] - len(document["free_examples"])
        output.line(
            f"rates with a price of 0, by which calls cost nothing: {shown}{f' and {more} more' if more > 0 else ''}"
        )
    mistakes = document["invalid"]
    for problem in mistakes[:_NAMED_ON_SCREEN]:
        column = f": {problem['column']}" if problem["column"] else ""
        value = "" if problem["value"] is None else f": value {problem['value']!r}"
        output.line(f"{document['file']}:{problem['line']}{column}{value}: expected {problem['expected']}")
    named = {problem["line"] for problem in mistakes[:_NAMED_ON_SCREEN]}
    if document["invalid_rows"] > len(named):
        output.line(
            f"and {document['invalid_rows'] - len(named)} more rows with mistakes: --json names the first thousand"
        )


def _show_changes(report: ImportReport) -> None:
    output.line(f"prefixes: {counts_in_words(report.changes)}; {report.rates} rates")
    for kind, examples in report.examples.items():
        shown = [_example(kind, each) for each in examples[:_NAMED_ON_SCREEN]]
        if shown:
            more = report.changes[kind] - len(shown)
            output.line(f"{_WORDS.get(kind, kind)}: {', '.join(shown)}{f' and {more} more' if more else ''}")
    if report.fallen or report.unrated:
        output.line(
            f"prefixes not in the file: {report.fallen} whose calls then have the rate of a shorter prefix, "
            f"{report.unrated} whose calls then have no rate"
        )
    if report.short_notice:
        shown = [_example("up", each) for each in report.short_examples[:_NAMED_ON_SCREEN]]
        more = report.short_notice - len(shown)
        output.line(
            f"increases with less than {report.notice_days} days' notice: {', '.join(shown)}"
            f"{f' and {more} more' if more else ''}"
        )
    if report.early:
        shown = [f"{each.prefix} {each.after or 'closed'} {_from(each.begins or '')}" for each in report.early_examples]
        named = shown[:_NAMED_ON_SCREEN]
        more = report.early - len(named)
        output.line(
            "rates that the deck has from an earlier date already, and that begin then: "
            f"{', '.join(named)}{f' and {more} more' if more else ''}"
        )


def counts_in_words(changes: Mapping[str, int]) -> str:
    """Return the numbers of prefixes by kind of change."""
    return ", ".join(f"{count} {_WORDS.get(kind, kind)}" for kind, count in changes.items())


def _example(kind: str, example: Example) -> str:
    """Write a prefix with what it cost before and after; one that is taken out with the rate that its numbers have."""
    before = "closed" if kind == "opened" else example.before
    fallback = example.fallback
    if not example.taken_out:
        after = example.after or (before and "closed")
    else:
        after = "no rate" if fallback is None else f"{fallback.price or 'closed'} of {fallback.prefix}"
    words = [example.prefix, " to ".join(dict.fromkeys(each for each in (before, after) if each))]
    others = [f"{name} {was or 'none'} to {becomes or 'none'}" for name, (was, becomes) in example.others.items()]
    if others:
        words.append(f"({', '.join(others)})")
    if example.begins is not None:
        words.append(_from(example.begins))
    if example.planned is not None:
        words.append(f"instead of {example.planned.price or 'closed'} {_from(example.planned.begins)}")
    return " ".join(filter(None, words))


def _from(moment: str) -> str:
    return f"from {moment.replace('.000Z', 'Z')}"
