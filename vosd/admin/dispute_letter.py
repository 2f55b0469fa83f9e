"""The letter to a vendor about a bill that is disputed, as Markdown: plain words, sums, what is asked for."""

from collections.abc import Mapping, Sequence
from typing import Final

from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.clearing.calls import BillClass
from vosd.clearing.sums import ClassSheet
from vosd.storage.disputes import StoredDispute
from vosd.storage.reconciliations import StoredReconciliation

_WORDS: Final[Mapping[BillClass, str]] = {
    BillClass.MATCHED: "Calls on which we agree",
    BillClass.MISSING_HERE: "Calls that our records do not have as answered",
    BillClass.MISSING_THERE: "Calls of ours that your file does not have",
    BillClass.DURATION_DIFFERS: "Calls whose duration differs",
    BillClass.UNIT_DIFFERS: "Calls whose billing unit differs",
    BillClass.RATE_DIFFERS: "Calls whose rate differs",
    BillClass.ROUNDING_DIFFERS: "Calls whose rounding differs",
}


def dispute_letter(
    stored: StoredReconciliation, dispute: StoredDispute, classes: Sequence[ClassSheet], name: str
) -> str:
    """Return the letter; the calls themselves are in the file that is sent with it."""
    currency = f" {stored.currency}" if stored.currency else ""
    rows = "\n".join(
        f"| {_WORDS[each.result]}{f' ({each.explanation})' if each.explanation else ''} | {each.calls} "
        f"| {each.theirs} | {each.ours} | {each.difference} |"
        for each in classes
    )
    memo = f"\n{dispute.memo}\n" if dispute.memo else ""
    return f"""# Dispute {stored.id}: {stored.file}

To: {name}
Date: {iso_utc(dispute.changed_at)[:10]}
Period: {_moment(stored.since)} to {_moment(stored.until)} (UTC)

We have compared your file {stored.file} with our records of the same period, call by call. You bill
{format_amount(stored.theirs)}{currency}; our records show {format_amount(stored.ours)}{currency}.

| | calls | your price | our record | difference |
|---|---:|---:|---:|---:|
{rows}

We dispute **{format_amount(dispute.amount)}{currency}** and ask you for a credit note of this amount, or for your
records of the calls in question. The file that comes with this letter has each of these calls with its
called number, both starts, both durations and both prices.
{memo}"""


def _moment(wall_ms: int) -> str:
    return iso_utc(wall_ms)[:19].replace("T", " ")
