"""``vosd retention`` on SQLite, without a daemon: what people read, and exit codes."""

import asyncio
import shutil
import time
from decimal import Decimal

import msgspec
import pytest
from doubles.data.records import answered_call
from doubles.installation import CONFIGURATION, Installation

from vosd.admin.payment_archive import PaymentArchive
from vosd.base.ids import uuid7
from vosd.cdr.record import CallRecord
from vosd.storage.ledger_values import LedgerEntry

DAY_MS = 86_400_000


@pytest.fixture
def site(tmp_path, migrated) -> Installation:
    shutil.copy(migrated, tmp_path / "vosd.db")
    site = Installation(tmp_path)
    kept = f"state_dir: {tmp_path}/var\nretention: {{calls: 60 days, ledger: 6 months}}\n"
    site.config.write_text(CONFIGURATION.replace("$directory", str(tmp_path)) + kept)
    (tmp_path / "var" / "journal").mkdir(parents=True)
    site.book([old_call()])
    return site


def old_call(noise: bytes = bytes(10)) -> CallRecord:
    """Return a call of 300 days ago; ``noise`` tells it from others."""
    at = time.time_ns() // 1_000_000 - 300 * DAY_MS
    made = answered_call(0, customer_account="customer-1", vendor_account="vendor-1")
    of_then = msgspec.json.encode(made).replace(made.call_id.encode(), uuid7(at, noise).encode())
    record = msgspec.json.decode(of_then, type=CallRecord)
    return msgspec.structs.replace(record, started_at=at, answered_at=at + 4_000, ended_at=at + 64_000)


def test_a_run_says_what_keeps_records_and_what_went(site):
    held = site.vosd("retention", "run")
    assert held.exit_code == 1
    assert "kept all, although older than" in held.output
    assert "no period is closed: vosd ledger close" in held.output
    assert site.vosd("ledger", "close", "--yes", "--until", "2026-01-01T00:00:00Z", "--force").exit_code == 0
    until = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time_ns() // 10**9 - 20 * 86_400))
    assert site.vosd("ledger", "close", "--yes", "--until", until).exit_code == 0
    late = old_call(b"behindhand")
    site.book([late])
    held = site.vosd("retention", "run")
    assert (held.exit_code, "the sums of reports lack calls" in held.output) == (1, True)
    assert site.vosd("report", "rebuild").exit_code == 0
    trial = site.vosd("retention", "run", "--dry-run")
    assert trial.exit_code == 0
    assert "calls, kept 60 days: before 20" in trial.output
    assert "would be dropped" in trial.output
    assert "fee 0.012345, tax" not in trial.output
    assert "cost 0.009876, fee 0.012345 USD" in trial.output
    assert "stay one by one, as they were booked or corrected late: 1" in trial.output
    assert len(site.document("cdr", "list")) == 2
    done = site.vosd("retention", "run", "--operator", "ann")
    assert done.exit_code == 0
    assert [call["call_id"] for call in site.document("cdr", "list")] == [late.call_id]
    runs = [(line["principal"], line["subject"]) for line in site.document("audit", "--action", "RunRetention")]
    assert runs == [("ann", "calls")]
    assert "ann" in site.vosd("retention", "history").output
    assert "customer-1" in site.vosd("retention", "totals").output
    assert site.document("retention", "totals", "--since", "2100-01-01") == []
    assert "no records" in site.vosd("retention", "run").output
    assert site.document("ledger", "verify", "--whole")["differences"] == []


def test_sums_for_reports_go_behind_their_calls_and_reports_of_then_are_refused(site):
    site.config.write_text(site.config.read_text().replace("ledger: 6 months", "sums: 6 months"))
    moments = {days: time.time_ns() // 1_000_000 - days * DAY_MS for days in (60, 20, 300, 100)}
    until = {days: time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(at // 1_000)) for days, at in moments.items()}
    assert site.vosd("report", "rebuild").exit_code == 0
    assert site.vosd("ledger", "close", "--yes", "--until", until[20]).exit_code == 0
    of_then = ("report", "daily", "--since", until[300], "--until", until[100])
    assert site.document(*of_then)["totals"][0]["calls"] == 1
    done = site.vosd("retention", "run", "--operator", "ann")
    assert (done.exit_code, "sums, kept 6 months: before 20" in done.output) == (0, True), done.output
    runs = [(line["principal"], line["subject"]) for line in site.document("audit", "--action", "RunRetention")]
    assert sorted(runs) == [("ann", "calls"), ("ann", "sums")]
    assert {line["kind"] for line in site.document("retention", "history")} == {"calls", "sums"}
    refused = site.vosd(*of_then)
    assert refused.exit_code == 1
    assert "sums for reports from before 20" in refused.stderr
    assert refused.stderr.endswith("were dropped, because their time was over\nask for a time from then on\n")
    for verb in ("verify", "rebuild"):
        assert "were dropped" in site.vosd("report", verb, *of_then[2:]).stderr
    assert site.vosd("report", "daily", "--since", until[100]).exit_code == 0


def test_an_archive_of_payments_is_checked(site, tmp_path):
    archive = PaymentArchive(tmp_path, 0)
    entry = LedgerEntry(
        7, "acme", 1, Decimal("20.5"), Decimal("20.5"), "payment", "bank-1", None, "ann", None, 0, "USD", None
    )

    async def pages():
        yield [entry]

    asyncio.run(archive.write(pages()))
    archive.publish()
    assert "complete, 1 entries closed before 1970-01-01" in site.vosd("retention", "archive", str(archive.path)).output
    assert site.document("retention", "archive", str(archive.path))["amounts"] == {"USD": "20.50"}
    archive.path.write_bytes(archive.path.read_bytes()[:-9])
    damaged = site.vosd("retention", "archive", str(archive.path))
    assert (damaged.exit_code, "damaged" in damaged.stderr) == (1, True)


def test_without_retention_nothing_goes(site):
    text = site.config.read_text().partition("retention:")[0]
    site.config.write_text(text + "retention: {daily_totals: 5 years}\n")
    assert site.document("retention", "run")["kinds"] == [], "totals alone may have a time"
    assert "daily totals dropped: 0" in site.vosd("retention", "run").output
    assert "daily totals that would be dropped: 0" in site.vosd("retention", "run", "--dry-run").output
    site.config.write_text(text)
    for words in (), ("--dry-run",), ("--json",):
        run = site.vosd("retention", "run", *words)
        assert (run.exit_code, "nothing is dropped or masked" in run.stderr) == (1, True)
    assert "nothing was ever dropped" in site.vosd("retention", "history").output
    assert "no calls were dropped" in site.vosd("retention", "totals").output
