"""The page that explains the columns of a CDR: ``python tests/manuals/cdr.py``.

What it prints is ``docs/cdr.md``; a test keeps the two together.
"""

import sys
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Table
from sqlalchemy.dialects import mysql

from vosd.cdr.columns import ATTEMPT_COLUMNS, ATTEMPTS, CHARGE_COLUMNS, CHARGES, COLUMNS
from vosd.cdr.kinds import Column, ColumnKind
from vosd.storage import schema

AGENTS: Final = 3
"""Levels of agents that have columns in the view."""

_OF_CALL: Final = (
    "call_id", "export_seq", "node", "started_at", "ringing_at", "answered_at", "acknowledged_at", "vendor_answered_at",
    "ended_at", "mapping_gateway", "routing_gateway", "caller_in", "callee_in", "caller_out", "callee_out",
    "callee_billing", "forward_prefix", "routing_number", "source_address", "destination_address", "codec", "pdd_ms",
    "hold_time_ms", "hold_time_s", "hangup_source", "end_reason", "sip_code", "q850_cause", "reason_text",
    "customer_account", "currency", "billing_base_ms", "billed_seconds", "fee", "tax", "rate_group", "rate_prefix",
    "rate_area",
)  # fmt: skip
_OF_AGENT: Final = {
    "account": "account of the agent of level {level}",
    "currency": "currency of its charge",
    "rate_group": "rate group that it pays by",
    "rate_prefix": "prefix of that rate",
    "unit_price": "its billing rate",
    "price_per": "`minute` or `cycle`",
    "billed_seconds": "seconds that its charge covers",
    "fee": "its charge without tax",
    "tax": "tax on it",
}

REPORT: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(_OF_CALL),
    "customer_unit_price": "the customer's billing rate, of a minute or of a cycle, in the currency of its rate group",
    "customer_price_per": "what that is the price of: `minute` or `cycle`",
    **dict.fromkeys(("vendor_account", "vendor_currency", "vendor_billing_base_ms", "vendor_paid_ms")),
    **dict.fromkeys(("vendor_billed_seconds", "cost", "cost_tax")),
    "vendor_rate_group": "rate group of the vendor's rate",
    "vendor_rate_prefix": None,
    "vendor_unit_price": "the vendor's billing rate",
    "vendor_price_per": "`minute` or `cycle`",
    "vendor_earned": "1 = `cost` was added to the balance of a partner that carried the call",
    **{
        f"agent{level}_{name}": meaning.format(level=level)
        for level in range(1, AGENTS + 1)
        for name, meaning in _OF_AGENT.items()
    },
    "attempts": "number of gateways tried",
    "corrected": "how often a charge of the call was corrected; 0 = as rated",
}
"""Columns of the view ``cdr_report``, which a migration has made, in their order, with their meanings; None = that of
the column of the same name in the CDR."""

_INTRODUCTION: Final = """\
# Call detail records

This page is generated: `python tests/manuals/cdr.py > docs/cdr.md`.

`vosd cdr list --json` prints an array of objects with these keys, `vosd cdr show CALL_ID --json` one object, and
`vosd cdr list --csv` has them as its header. The table `cdr` has a column of the same name for each, `attempts` is the
table `cdr_attempt`, `charges` the table `cdr_charge`.

- Times are ISO 8601 in UTC with milliseconds and `Z`. Money is text in plain notation with two to eight decimals.
- *null* stands where a thing did not happen; in CSV the cell is empty. A call that was not answered costs `"0.00"`.
- Text that is too long for its column is cut, except names of accounts: a record with such a name is refused
  (`vosd spool list`).
- `fee_breakdown`, `attempts` and `charges` are nested in JSON; in CSV they are JSON in a cell.
- `export_seq` grows with every booking and every correction: who has read the calls up to N reads those above N, and
  misses none. A call whose charges are corrected gets a new number and so comes again; of rows with the same `call_id`
  the one with the highest `export_seq` holds. `vosd cdr export` reads in this order
  ([operations.md](operations/exports.md)).
- Customers and agents see `export_seq` and, in the ledger, `id` as they are, one row of numbers for all accounts: from
  two of their own calls a day apart they can tell about how many calls all others had meanwhile.
- `export_seq` has gaps, and a gap means nothing: a number is left out for each batch of calls, payment, correction and
  step of `vosd retention run`, and for each call of a batch that is booked again after a kill and was there already.
  Numbers are taken and written in one transaction, in the order of commit: none below one that you have read comes
  later, except by a restored backup.
- Read money with `--json` rather than from SQLite: there it is an integer of 1e-8. Read documents (`fee_breakdown`,
  `verdicts`, `breakdown`) with `--json`, too: the tables have them packed.
- Programs that read SQL find calls with prices and all parties as columns in the view
  [cdr_report](#the-view-cdr_report).
"""


_ON_REFUSALS: Final = """\
## Records that the database refuses

A record that can never be booked is moved to `state_dir/quarantine`, with all that it books on both accounts. The log
says `record_quarantined` with the reason, `vosd spool list` shows it, and the cost stays owed. Once the cause is
corrected, `vosd spool retry` books the record; what is booked already is not booked again.

- **`account A has its money in USD, this call's posting is in EUR`**: the account was configured in EUR when the call
  began. If it has no ledger entries yet, set its currency back, `vosd reload`, `vosd spool retry`. An account with
  entries keeps its currency, so the call must be booked by hand: `vosd spool show CALL_ID` has its postings,
  `vosd payment add --type adjustment` books them on an account in that currency. Keep the output of `vosd spool
  export FILE`, remove the call's file from `state_dir/quarantine`, and restart the switch, which then counts the cost
  as owed no more.
- **`… cannot name anything here …`**: the id of an account is too long or ends in a space. Correct the configuration
  for later calls, and book this one by hand in the same way.
- **`reference … is booked for another call`**: two calls have the same reference; `vosd ledger verify` shows what is
  booked.
- **`… cannot be read: …`**: the file is damaged, or of another version. `vosd ledger verify` names it until the call
  has a CDR, `vosd spool list` and `vosd spool retry` until the file is removed. While a file of the journal has the
  call (`grep -l CALL_ID state_dir/journal/*`), `vosd spool salvage --book` with that file books it. Otherwise put the
  file of a backup back, or look at it and book the call by hand, as above; then remove it. A record that you have
  edited yourself is booked as it stands once you remove `checksum` at the end of its file.
"""
_ON_ATTEMPTS: Final = """\
`attempts` has one object for each gateway that was tried. In the table `cdr_attempt` they are numbered by `position`.
"""


_ON_CHARGES: Final = """\
`charges` has one object for everyone who pays or is paid for the call: the customer, the agents above it from level 1
on, the vendor. `fee`, `tax`, `cost` and `cost_tax` of the call are those of the customer and of the vendor. Calls that
were booked before there were charges have none. In the table `cdr_charge` they are numbered by `position`; a call that
leaves ledger entries and no CDR has its rows there, too, each with its `breakdown`.
"""
_ON_METHODS: Final = """\
### How a charge was computed

Who pays is the row of `charges` with the `role` `customer`: it has the account, and `mapping_gateway` of the call is
the gateway or phone that it came from. A call without such a row is charged to no customer, as test calls are and most
that were not answered. `rate_group` `free number` is one that costs its customer nothing by intent.

By which method a charge was computed, its steps say: `fee_breakdown` has those of `customer` and `vendor`, `breakdown`
of the charge those of an agent. Each is an object with `step`, in this order; what does not apply is left out.

| step | says |
| --- | --- |
| `candidate` | one of the rates from which the cheapest was taken: `group`, `prefix`, `source`, its `total` |
| `rate` | the rate: `billing_rate`, `price_per` (`minute` or `cycle`), `billing_cycle` in seconds, `first_rate`, \
`first_duration`, `tax_rate`; where it has them `sections`, `section_cap`, `connection_fee`, `minimum_charge`, \
`tax_exempt`; `source`, where it is another one than that of the account's group, such as that of a period |
| `hold_time` | the whole `seconds` of the call, and from how many milliseconds a fraction is one more |
| `free_time` | the `seconds` that are left after it |
| `first_period` | the `seconds` that are paid as a whole, and their price |
| `sections` | instead: the end of the last completed section, and its price |
| `cycles` | how many `cycles` of `cycle` seconds were begun, and their price; 0 = what is above was enough |
| `section_cap`, `connection_fee`, `minimum_charge` | what each has added; the cap takes away |
| `exchange` | the rate of exchange, where the account has another currency |
| `fee` | the price before it was rounded (`raw`, shown to eight decimals), how it was rounded, and the `amount` |
| `tax` | the same of the tax |

So a charge by the minute has `price_per` `minute` and `billing_cycle` 60, one by the second 1; 30/6 has
`first_duration` 30 and `billing_cycle` 6.
"""
_ON_REPORT: Final = """\
## The view cdr_report

One row for each call that has a CDR, for reports and BI tools that read SQL: `SELECT * FROM cdr_report WHERE
started_at >= '2026-11-01' AND started_at < '2026-12-01'`. The call id is text; money is decimal in MySQL, and in
SQLite text with eight decimals (`CAST(fee AS REAL)` adds up, not to the last digit). Times are UTC. What did not
happen is null. `fee` and `cost` are as corrected. Prices of calls that were booked before there were charges are
null. An agent from level 4 on has no columns: read `cdr_charge`. In MySQL the view has the rights of who reads it:
grant `SELECT` on it and on `cdr`, `cdr_attempt` and `cdr_charge`. A report over months reads much: give it a replica,
or a quiet hour, and a range of `started_at`.

```sql
SELECT customer_account, currency, COUNT(*) AS calls, SUM(billed_seconds) / 60 AS minutes,
  SUM(fee) AS fees, SUM(cost) AS costs
FROM cdr_report WHERE started_at >= '2026-11-01' AND started_at < '2026-12-01'
GROUP BY customer_account, currency;
```
"""
_TABLES: Final = {ATTEMPTS.name: schema.cdr_attempt.name, CHARGES.name: schema.cdr_charge.name}


def manual() -> str:
    """Return the page in Markdown."""
    parts = [
        _INTRODUCTION,
        _table(COLUMNS, schema.cdr),
        "## An attempt\n",
        _ON_ATTEMPTS,
        _table(ATTEMPT_COLUMNS, schema.cdr_attempt),
        "## A charge\n",
        _ON_CHARGES,
        _table(CHARGE_COLUMNS, schema.cdr_charge),
        _ON_METHODS,
        _ON_REPORT,
        _report(),
        _ON_REFUSALS,
    ]
    return "\n".join(parts)


def _report() -> str:
    """Return the table of the columns of the view."""
    meanings = {column.name: column.meaning for column in COLUMNS}
    rows = [f"| `{name}` | {meanings[name] if meaning is None else meaning} |" for name, meaning in REPORT.items()]
    return "\n".join(["| column | meaning |", "| --- | --- |", *rows, ""])


def _table(columns: tuple[Column, ...], table: Table) -> str:
    rows = [
        f"| `{column.name}` | {column.meaning} | {_in_json(column)} | {_in_mysql(column, table)} |"
        for column in columns
    ]
    return "\n".join(["| key | meaning | JSON | MySQL |", "| --- | --- | --- | --- |", *rows, ""])


def _in_json(column: Column) -> str:
    written = {ColumnKind.NUMBER: "number", ColumnKind.DOCUMENT: "object", ColumnKind.ROWS: "array"}.get(
        column.kind, "text"
    )
    return f"{written} or null" if column.is_optional else written


def _in_mysql(column: Column, table: Table) -> str:
    if column.kind is ColumnKind.ROWS:
        return f"table `{_TABLES[column.name]}`"
    return f"`{table.columns[column.name].type.compile(dialect=mysql.dialect())}`"


if __name__ == "__main__":
    sys.stdout.write(manual())
