"""The command line and HTTP give the same result and the same line of the audit, for each use case that both have.

A use case of the office and an operation of the API that are not compared here need a reason: the last tests name them.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from api.fronts import (
    Step,
    by_request,
    by_verb,
    compare,
    family,
    of_operations,
    of_verbs,
    operation_of,
    use_cases,
    verb_of,
)
from api.watched import Watched, blacklist, register, something_of_everything, watched
from doubles.api import ADMINISTRATOR, Api
from doubles.daemon import Daemon
from doubles.data.records import answered_call
from doubles.sockets.peer import ANSWER, Peer
from e2e.addresses import API_SWITCH, VENDORS
from e2e.conditions import eventually, talk
from e2e.conversation import conversing
from e2e.stage import Stage, configuration

from vosd.cli.arguments import operator
from vosd.obs.events import Event
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

BILLING: Final = "billing: {confirm_above: 1000}\n"
SPAN: Final = "--since 2020-01-01T00:00:00Z --until 2120-01-01T00:00:00Z"
SPAN_JSON: Final = {"since": "2020-01-01T00:00:00Z", "until": "2120-01-01T00:00:00Z"}
CALL: Final = {"gateway": "acme-pbx", "caller": "12025550100", "callee": "442012345"}
CALL_WORDS: Final = "--gateway acme-pbx --caller 12025550100 --callee 442012345"
DECK: Final = "prefix,area,billing_rate,interval\n44,United Kingdom,0.012,30/6\n49,Germany,0.005,1/1\n"
NOW: Final = frozenset({"age_s", "talk_s"})
ENTERED: Final = frozenset({"id", "created_at", "operator"})
FILED: Final = frozenset({"file"})
OVERRIDDEN: Final = itemgetter("overrides")
OUTCOME: Final = itemgetter("outcome")
SHEET: Final = itemgetter("sheet")
ALARMS: Final = itemgetter("alarms")


def nothing_goes_on(site: Watched) -> None:
    """Wait until registrations, written behind their answers, are in the database, and transactions have ended."""

    def is_at_rest() -> bool:
        status = json.loads(site.daemon.succeed("status", "--json"))
        return not status["registrations_unwritten"] and not status["transactions"]

    eventually(is_at_rest, "registrations are in the database, and transactions have ended")


def with_sorted_permissions(roles: Any) -> Any:
    """Return roles with their permissions in alphabetical order, as the verb prints them."""
    return [each | {"permissions": sorted(each["permissions"])} for each in roles]


READS: Final = (
    Step("report list", "GET /reports"),
    Step("report scheduled", "GET /scheduled-reports"),
    Step("report revenue --since 2026-03-01T00:00:00Z --until 2026-03-02T00:00:00Z",
         "GET /reports/revenue?since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z"),
    Step("report profit --since 2026-03-01T00:00:00Z --until 2026-03-02T00:00:00Z --pdf $DIR/profit.pdf",
         "GET /reports/profit?since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z", file="profit.pdf",
         accept="application/pdf"),
    Step("status", "GET /status", part=lambda found: found.pop("figures") and found,
         passing=frozenset({"machine"}), before=nothing_goes_on),
    Step("calls", "GET /calls"),
    Step("gateway list", "GET /gateways/quality", passing=frozenset({"cps"})),
    Step("gateway show carrier-a", "GET /gateways/carrier-a", passing=frozenset({"cps"})),
    Step("registrations", "GET /registrations"),
    Step("alarms", "GET /alarms", part=ALARMS),
    Step("alarms --history", "GET /alarms?history=true", part=ALARMS),
    Step("overrides list", "GET /overrides"),
    Step("overrides list --history", "GET /overrides/changes"),
    Step("blacklist list", "GET /blacklist", passing=frozenset({"remaining_s", "until"})),
    Step("unblock --list", "GET /sources"),
    Step("webhooks list", "GET /webhooks/dead-letters"),
    Step("parameters", "GET /parameters?limit=1000"),
    Step("definitions history parameters", "GET /parameter-versions?sort=-made_at"),
    Step("audit --limit 7", "GET /audit?limit=7"),
    Step("audit --action SetObjects", "GET /audit?action=SetObjects"),
    Step("check", "POST /configuration/check", {}, part=itemgetter("problems")),
    Step("cdr list", "GET /cdrs"),
    Step("cdr list --account acme --reason Busy", "GET /cdrs?account=acme&reason=Busy"),
    Step("cdr show $CDR", "GET /cdrs/$CDR"),
    Step("cdr show $CDR --why", "GET /cdrs/$CDR/why"),
    Step("cdr show $CDR --ladder", "GET /cdrs/$CDR/ladder", file="-", accept="text/plain"),
    Step("cdr charges $CDR", "GET /cdrs/$CDR/charges"),
    Step("cdr corrections $CDR", "GET /cdrs/$CDR/corrections"),
    Step("call show $CDR", "GET /calls/$CDR"),
    Step("why --callee 44", "GET /calls/why?callee=44"),
    Step(f"route explain {CALL_WORDS}", "POST /routes/explain", CALL, part=SHEET),
    Step(f"route explain {CALL_WORDS} --live", "POST /routes/explain", {**CALL, "live": True}, part=SHEET),
    Step(
        f"route explain {CALL_WORDS} --at 2026-03-01T12:00:00Z",
        "POST /routes/explain", {**CALL, "at": "2026-03-01T12:00:00Z"}, part=SHEET,
    ),
    Step(f"route simulate {SPAN}", "POST /routes/simulate", SPAN_JSON),
    Step("rate explain --account acme --callee 441 --duration 61", "POST /rates/explain",
         {"account": "acme", "callee": "441", "duration_ms": 61_000}),
    Step("account rates acme --prefix 4", "GET /accounts/acme/rates?prefix=4"),
    Step("rates groups", "GET /rates/groups"),
    Step("rates areas sell", "GET /rates/groups/sell/areas"),
    Step("user list", "GET /people"),
    Step("account rights", "GET /agents"),
    Step("user roles", "GET /roles", part=with_sorted_permissions),
    Step("token list", "GET /tokens"),
    Step("ledger profit --since 2026-03-01T00:00:00Z --until 2126-03-02T00:00:00Z",
         "GET /ledger/profit?since=2026-03-01T00:00:00Z&until=2126-03-02T00:00:00Z"),
    Step("jobs list", "GET /jobs"),
)  # fmt: skip

OVERRIDES: Final = (
    Step("gateway block carrier-a --memo ill", "POST /gateways/carrier-a/block", {"memo": "ill"}, part=OVERRIDDEN,
         undo="gateway unblock carrier-a"),
    Step("gateway unblock carrier-a", "DELETE /gateways/carrier-a/block", part=OVERRIDDEN,
         before="gateway block carrier-a"),
    Step("gateway set carrier-a --priority 7 --max-cps 3", "POST /gateways/carrier-a/overrides",
         {"values": {"priority": "7", "max_cps": "3"}}, part=OVERRIDDEN, undo="overrides clear carrier-a"),
    Step("overrides clear carrier-a", "DELETE /overrides?name=carrier-a", part=OVERRIDDEN,
         before="gateway block carrier-a"),
    Step("account block acme --memo unpaid", "POST /accounts/acme/block", {"memo": "unpaid"}, part=OVERRIDDEN,
         undo="account unblock acme"),
    Step("account block acme --incoming", "POST /accounts/acme/block", {"incoming": True}, part=OVERRIDDEN,
         undo="account unblock acme"),
    Step("account unblock acme", "DELETE /accounts/acme/block", part=OVERRIDDEN, before="account block acme"),
    Step("account set acme --overdraft-limit 50", "POST /accounts/acme/overrides", {"overdraft_limit": "50"},
         part=OVERRIDDEN, undo="overrides clear acme"),
    Step("reload", "POST /configuration/reload", part=OUTCOME),
    Step("blacklist clear 49", "DELETE /blacklist?number=49", is_refused=True),
    Step("unblock 192.0.2.1", "DELETE /sources?address=192.0.2.1", is_refused=True),
    Step("webhooks replay crm", "POST /webhooks/crm/replay", {}, is_refused=True),
    Step("alarms --confirm lease_lost", "POST /alarms/lease_lost/confirmation", {}, is_refused=True),
)  # fmt: skip

DEFINITIONS: Final = (
    Step("definitions set number_lists $N --file $FILE --memo new", "POST /number-lists",
         {"name": "$N", "keys": {"patterns": ["4477*"]}, "memo": "new"}, json.dumps({"patterns": ["4477*"]})),
    Step("definitions set number_lists $N --file $FILE", "PUT /number-lists/$N", {"keys": {"patterns": ["4478*"]}},
         json.dumps({"patterns": ["4478*"]})),
    Step("definitions history number_lists $N", "GET /number-lists/$N/versions",
         passing=frozenset({"begins_at", "made_at", "operator"})),
    Step("definitions diff number_lists $N --from 1 --to 2", "GET /number-lists/$N/diff?first=1&last=2",
         part=itemgetter("keys"), printed="keys"),
    Step("definitions revert number_lists $N --to 1", "POST /number-lists/$N/revert", {"version": 1}),
    Step("definitions delete number_lists $N --memo over --yes", "DELETE /number-lists/$N?memo=over&confirm=true"),
    Step("definitions delete number_lists $N", "DELETE /number-lists/$N", is_refused=True),
    Step("definitions set number_lists $N --file $FILE --at 2120-01-01T00:00:00Z",
         "PUT /number-lists/$N", {"keys": {"patterns": ["4479*"]}, "at": "2120-01-01T00:00:00Z"},
         json.dumps({"patterns": ["4479*"]})),
    Step("definitions list --planned", "GET /planned-versions"),
    Step("did import $FILE", "POST /dids/import", {"text": "number,account,phones\n$PHONE,acme,7001\n"},
         "number,account,phones\n$PHONE,acme,7001\n", passing=frozenset({"name"})),
    Step("did assign $PHONE $N --phone 700", "POST /dids/$PHONE/assign", {"account": "$N", "phones": ["700"]},
         is_refused=True),
    Step("did free $PHONE --memo stock", "POST /dids/$PHONE/free", {"memo": "stock"}, passing=frozenset({"name"})),
)  # fmt: skip

MONEY: Final = (
    Step("definitions provision $FILE --payment 10.00 --reference of-$N", "POST /customers",
         {"account": "shop-$N", "keys": {"currency": "USD"}, "reference": "of-$N", "payment": {"amount": "10.00"},
          "phones": [{"name": "$PHONE", "keys": {"password": "long-enough-1", "rate_group": "sell"}}]},
         json.dumps({"accounts": [{"id": "shop-$N", "currency": "USD"}],
                     "phones": [{"number": "$PHONE", "account": "shop-$N", "password": "long-enough-1",
                                 "rate_group": "sell"}]})),
    Step("payment add --account shop-$N --amount 5.50 --reference p-$N --memo cash", "POST /accounts/shop-$N/payments",
         {"amount": "5.50", "reference": "p-$N", "memo": "cash"}, part=lambda found: found["receipts"][-1],
         passing=frozenset({"id"})),
    Step("payment undo 999999 --memo typo", "POST /payments/999999/undo", {"memo": "typo"}, is_refused=True),
    Step("payment transfer --from shop-$N --to other --amount 2 --reference t-$N", "POST /transfers",
         {"source": "shop-$N", "target": "other", "amount": "2", "reference": "t-$N"}, part=itemgetter("receipts"),
         passing=frozenset({"id", "before", "after"})),
    Step("payment add --account shop-$N --amount 1 --reference d-$N --dry-run",
         "POST /accounts/shop-$N/payments?dry_run=true", {"amount": "1", "reference": "d-$N"},
         part=lambda found: found["receipts"][-1], changes=False),
    Step("payment transfer --from shop-$N --to other --amount 1 --reference d-$N --dry-run",
         "POST /transfers?dry_run=true", {"source": "shop-$N", "target": "other", "amount": "1", "reference": "d-$N"},
         part=itemgetter("receipts"), changes=False, passing=frozenset({"before", "after"})),
    Step("account show shop-$N", "GET /accounts/shop-$N/balance", passing=frozenset({"balance_includes_reserved"})),
    Step("account list --counts", "GET /balances?counts=true", passing=frozenset({"balance_includes_reserved"})),
    Step("account list", "GET /balances", passing=frozenset({"balance_includes_reserved"})),
    Step("ledger list --account shop-$N", "GET /accounts/shop-$N/ledger", passing=ENTERED),
    Step("payment list --account shop-$N", "GET /accounts/shop-$N/payments", passing=ENTERED),
    Step("payment list --type payment --type refund", "GET /payments?kinds=payment,refund"),
    Step("ledger list", "GET /ledger"),
    Step("ledger balances --at 2126-01-01T00:00:00Z", "GET /ledger/balances?at=2126-01-01T00:00:00Z",
         printed="accounts"),
    Step("ledger statement --account other --month 2026-03", "GET /accounts/other/statements/2026-03"),
    Step("ledger statement --all --month 2026-03", "GET /statements/2026-03?all=true"),
    Step("payment add --account shop-$N --amount 2000 --reference w-$N --yes", "POST /accounts/shop-$N/payments",
         {"amount": "2000", "reference": "w-$N"}, part=itemgetter("waiting"), code=1, keeps={"WAITING": "id"},
         passing=frozenset({"id"})),
    Step("payment waiting", "GET /waiting-payments"),
    Step("payment confirm $WAITING", "POST /waiting-payments/$WAITING/confirmation", is_refused=True),
    Step("payment refuse $WAITING --memo no", "POST /waiting-payments/$WAITING/refusal", {"memo": "no"},
         passing=frozenset({"id"})),
)  # fmt: skip

ACCESS: Final = (
    Step("user role-set cashier-$N --permission money.see --permission accounts.see", "PUT /roles/cashier-$N",
         {"permissions": ["money.see", "accounts.see"]}),
    Step("user add ann-$N --role cashier-$N", "POST /people", {"name": "ann-$N", "role": "cashier-$N"},
         passing=frozenset({"link"})),
    Step("user role ann-$N viewer", "PUT /people/ann-$N/role", {"role": "viewer"}),
    Step("user disable ann-$N", "POST /people/ann-$N/disable"),
    Step("user enable ann-$N", "POST /people/ann-$N/enable"),
    Step("user reset ann-$N", "POST /people/ann-$N/reset", passing=frozenset({"link"})),
    Step("user role-drop cashier-$N", "DELETE /roles/cashier-$N"),
    Step("token add crm-$N --role finance --scope money.see --network 192.0.2.0/24", "POST /tokens",
         {"name": "crm-$N", "role": "finance", "scopes": ["money.see"], "networks": ["192.0.2.0/24"]},
         passing=frozenset({"token"}), keeps={"TOKEN": "id"}),
    Step("token show $TOKEN", "GET /tokens/$TOKEN",  # the program of the test is no token that could have made one
         passing=frozenset({"created", "created_by", "maker", "permissions", "refused"})),
    Step("token revoke $TOKEN", "DELETE /tokens/$TOKEN", passing=frozenset({"revoked", "maker"})),
)  # fmt: skip

DECKS: Final = (
    Step("definitions set rate_groups buy-$N --file $FILE", "PUT /rate-groups/buy-$N", {"keys": {"deck": True}},
         "deck: yes"),
    Step("rates import buy-$N $FILE", "POST /decks/buy-$N/imports?file=sheet.csv", DECK.encode(), DECK,
         passing=FILED),
    Step("rates import buy-$N $FILE --dry-run", "POST /decks/buy-$N/imports?file=sheet.csv&dry_run=true",
         DECK.replace("0.012", "0.02").encode(), DECK.replace("0.012", "0.02"), passing=FILED, changes=False),
    Step("rates import buy-$N $FILE", "POST /decks/buy-$N/imports?file=sheet.csv",
         DECK.replace("0.012", "0.015").encode(), DECK.replace("0.012", "0.015"), passing=FILED),
    Step("rates lookup buy-$N 4420", "GET /decks/buy-$N/lookup?number=4420", passing=frozenset({"at", "made_at"})),
    Step("rates rollback buy-$N --to 1", "POST /decks/buy-$N/rollback", {"to": 1}, passing=frozenset({"layout"})),
    Step("rates versions buy-$N", "GET /decks/buy-$N/versions",
         passing=frozenset({"made_at", "operator", "layout"})),
    Step("rates export buy-$N $DIR/deck.csv", "GET /decks/buy-$N/rates", file="deck.csv", accept="text/csv"),
)  # fmt: skip

JOBS: Final = (
    Step("cdr export", "POST /cdrs/export", {}, file="-", accept="text/csv", changes=False),
    Step(f"rerate {SPAN}", "POST /calls/rerate", SPAN_JSON, changes=False),
    Step("month close 2126-01 --dry-run", "POST /months/2126-01/close?dry_run=true", {}, code=1, changes=False),
    Step("jobs list", "GET /jobs"),
    Step("jobs show 1", "GET /jobs/1"),
    Step("jobs cancel 1", "DELETE /jobs/1", is_refused=True),
)


def write_map(site: Watched) -> None:
    """Write the map of a vendor's file beside the files of verbs."""
    directory = site.daemon.directory / "of-verbs"
    directory.mkdir(exist_ok=True)
    (directory / "map.yaml").write_text(BILL_MAP)


BILL_MAP: Final = json.dumps(
    {"columns": {"callee": "number", "start": "start", "duration": "seconds", "price": "price"}}
)
BILL_ROWS: Final = "".join(f"44207000{each},2026-03-01T12:00:00Z,61,0.70,$N\n" for each in range(10, 15))
BILL: Final = f"number,start,seconds,price,of\n\n\n\n{BILL_ROWS}"
MADE: Final = frozenset({"id", "made_at", "operator", "opened_at", "changed_at"})
BILLS: Final = (
    Step("reconcile import vendors $FILE --map $DIR/map.yaml",
         f"POST /reconciliations/vendors/imports?file=sheet.csv&map={quote(BILL_MAP)}", BILL.encode(), BILL,
         before=write_map, keeps={"BILL": "id"}, passing=MADE),
    Step("reconcile list", "GET /reconciliations", passing=MADE),
    Step("reconcile dispute $BILL --memo please", "PUT /reconciliations/$BILL/dispute", {"memo": "please"},
         passing=MADE),
    Step("reconcile dispute $BILL --state settled --book", "PUT /reconciliations/$BILL/dispute",
         {"state": "settled", "book": True}, passing=MADE),
    Step("reconcile show 999", "GET /reconciliations/999", is_refused=True),
    Step("reconcile show $BILL", "GET /reconciliations/$BILL", passing=MADE),
    Step("reconcile show $BILL --calls $DIR/calls.csv", "GET /reconciliations/$BILL/calls", file="calls.csv",
         accept="text/csv"),
    Step("reconcile dispute $BILL --letter $DIR/letter.md", "GET /reconciliations/$BILL/letter", file="letter.md",
         accept="text/plain"),
)  # fmt: skip

BLACKLIST: Final = (Step("blacklist clear", "DELETE /blacklist", part=OUTCOME, before=blacklist),)
PHONES_GO: Final = (
    Step("registrations --forget 7001", "DELETE /registrations/7001", part=OUTCOME, before=register),
    Step("registrations --forget 7001", "DELETE /registrations/7001", is_refused=True),
    Step("registrations --retry carrier-a", "POST /registrations/carrier-a/retry", is_refused=True),
)
TALKS: Final = (
    Step("calls", "GET /calls", passing=NOW),
    Step("call show $TALK", "GET /calls/$TALK", part=itemgetter("legs"), printed="legs"),
    Step("calls --ladder $TALK", "GET /calls/$TALK/ladder", file="-", accept="text/plain"),
    Step("hangup $CALL", "DELETE /calls/$CALL", part=OUTCOME),
    Step("hangup $CALL", "DELETE /calls/$CALL", is_refused=True),
    Step("hangup --prefix $NUMBER", "POST /calls/hangup", {"prefix": "$NUMBER"}, part=OUTCOME),
)
FOLLOWED: Final = Step(
    "trace --callee $NUMBER --seconds 2", "GET /calls/trace?callee=$NUMBER&seconds=2", file="-", accept="text/plain"
)
TRIALS: Final = (
    Step("call test --via carrier-b --callee 4420", "POST /calls/test", {"via": "carrier-b", "callee": "4420"},
         keeps={"TRIAL": "call_id"}, passing=frozenset({"pdd_ms", "ms", "talk_ms"})),
    Step("call test --via nowhere --callee 44", "POST /calls/test", {"via": "nowhere", "callee": "44"},
         is_refused=True),
)  # fmt: skip
CORRECTIONS: Final = (
    Step("cdr correct $BOOKED --fee 0.01 --tax 0 --memo complaint --reference c-$N", "POST /cdrs/$BOOKED/corrections",
         {"charges": [{"role": "customer", "fee": "0.01", "tax": "0"}], "memo": "complaint", "reference": "c-$N"},
         part=itemgetter("changes"), passing=frozenset({"corrected_at"})),
    Step("cdr corrections $BOOKED", "GET /cdrs/$BOOKED/corrections", passing=frozenset({"corrected_at", "operator"})),
)  # fmt: skip
CONFIRMED: Final = (
    Step("payment confirm $WAITING", "POST /waiting-payments/$WAITING/confirmation", part=itemgetter("receipts"),
         token=f"{ADMINISTRATOR}-2", passing=frozenset({"id", "before", "after"})),
)  # fmt: skip

BY_NUMBER: Final = frozenset({"id", "number", "digest", "issued_at", "due_at", "due_on", "cancels"})
INVOICE_RUN: Final = Step(
    "invoice run --period 2026-02 --account $N --draft", "POST /invoices/runs",
    {"period": "2026-02", "accounts": ["$N"], "draft": True}, passing=BY_NUMBER,
)  # fmt: skip
INVOICES: Final = (
    Step("invoice issue #$INV", "POST /invoices/$INV/issue", passing=BY_NUMBER, keeps={"NUM": "number"}),
    Step("invoice issue #$INV", "POST /invoices/$INV/issue", is_refused=True),
    Step("invoice list --account $N", "GET /invoices?account=$N", passing=BY_NUMBER),
    Step("invoice show #$INV", "GET /invoices/$INV", passing=BY_NUMBER),
    Step("invoice show #$READ", "GET /invoices/$READ", passing=BY_NUMBER | {"operator"}),
    Step("invoice show #$READ --calls $DIR/calls.csv", "GET /invoices/$READ/calls", file="calls.csv",
         accept="text/csv"),
    Step("invoice pdf #$READ --out $DIR/invoice.pdf", "GET /invoices/$READ/pdf", file="invoice.pdf",
         accept="application/pdf"),
    Step("invoice pay #$INV --amount 0.01 --reference bank-7", "POST /invoices/$INV/payments",
         {"amount": "0.01", "reference": "bank-7"}, part=lambda found: found["receipts"][0],
         passing=frozenset({"id"})),
    Step("invoice send #$INV --to books@example.com", "POST /invoices/$INV/mail", {"to": ["books@example.com"]},
         is_refused=True),
    Step("invoice cancel #$INV --memo wrong", "POST /invoices/$INV/cancel", {"memo": "wrong"}, passing=BY_NUMBER),
    Step("invoice cancel #$INV --memo wrong", "POST /invoices/$INV/cancel", {"memo": "wrong"}, is_refused=True),
)  # fmt: skip

STORIES: Final = {
    "reads": READS, "overrides": OVERRIDES, "definitions": DEFINITIONS, "money": MONEY, "access": ACCESS,
    "decks": DECKS, "jobs": JOBS, "bills": BILLS,
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("fronts"), BILLING) as installation:
        yield installation


@pytest.fixture(scope="module")
def cdr(site: Watched) -> str:
    """Have something of everything, and return the id of a call that two vendors refused."""
    return something_of_everything(site)


def fronts(**more: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names of the command line and of HTTP."""
    return {**more, "N": "by-verb", "PHONE": "493011", "LOGIN": operator()}, {
        **more,
        "N": "by-http",
        "PHONE": "493012",
        "LOGIN": ADMINISTRATOR,
    }


def expect_same(site: Watched, steps: Iterable[Step], *names: dict[str, str]) -> None:
    """Take steps over both fronts."""
    for step in steps:
        compare(site, step, *names)


@pytest.mark.parametrize("story", STORIES)
def test_both_fronts_do_the_same(site: Watched, cdr: str, story: str) -> None:
    expect_same(site, STORIES[story], *fronts(CDR=cdr))


def test_both_fronts_clear_the_blacklist(site: Watched, cdr: str) -> None:
    site.daemon.verb("blacklist", "clear")
    expect_same(site, BLACKLIST, *fronts())


def test_both_fronts_have_the_switch_forget_a_phone(site: Watched) -> None:
    expect_same(site, PHONES_GO, *fronts())


def test_both_fronts_show_running_calls_and_hang_them_up(site: Watched) -> None:
    names = fronts()
    with conversing(site.stage, "4410", "4410", "4410", "4410", "4410") as talks:
        for talk in talks:
            talk.establish()
        ids = {each["callee"]: each["call_id"] for each in site.items("/calls")}
        for values, one, many in ((names[0], talks[1], talks[2]), (names[1], talks[3], talks[4])):
            values |= {"TALK": ids[talks[0].callee], "CALL": ids[one.callee], "NUMBER": many.callee}
        # The BYEs are answered behind all steps, which take longer than 64·T1 on a busy machine.
        with site.stage.expecting(Event.BYE_UNANSWERED):
            expect_same(site, TALKS, *names)
            for ended in talks[1:]:
                ended.is_ended_by_the_switch()
            talks[0].hang_up()
            site.stage.expect_nothing_left()


def test_both_fronts_follow_a_call(site: Watched) -> None:
    with conversing(site.stage, "4410") as (talk,), ThreadPoolExecutor(2) as beside:
        names = fronts(NUMBER=talk.callee)
        followed = [
            beside.submit(act, site, FOLLOWED, values) for act, values in zip((by_verb, by_request), names, strict=True)
        ]
        lines = eventually(lambda: both_lines(site, "FollowCalls", talk.callee), "both follow")
        talk.establish()
        talk.hang_up()
        verb, request = (each.result() for each in followed)
    assert "200 OK" in verb
    assert verb == request
    assert {each["means"] for each in lines} == {"terminal", "token"}
    assert lines[0]["detail"] == lines[1]["detail"]
    site.stage.expect_nothing_left()


def both_lines(site: Watched, action: str, subject: str) -> list[dict[str, Any]]:
    """Return two lines of the audit; none where there are not two yet."""
    found = [each for each in site.items(f"/audit?limit=4&action={action}") if each["subject"] == subject]
    return found if len(found) == 2 else []


def test_both_fronts_make_a_test_call(site: Watched) -> None:
    with Peer(VENDORS["carrier-b"]) as vendor, ThreadPoolExecutor(1) as beside:
        taken = beside.submit(lambda: [answer(vendor, tag) for tag in ("first", "second")])
        expect_same(site, TRIALS, *fronts())
        taken.result()


def answer(vendor: Peer, tag: str) -> None:
    """Answer a call and hang up."""
    invite = vendor.expect("INVITE")
    vendor.reply(invite, 200, tag=tag, body=ANSWER)
    vendor.expect("ACK")
    talk(0.2)
    vendor.hang_up(invite, tag)
    vendor.expect(200)


def test_both_fronts_set_a_charge_right(site: Watched) -> None:
    names = fronts()
    for values in names:
        with conversing(site.stage, "4410") as (talk,):
            talk.establish()
            talk.hang_up()
        values["BOOKED"] = site.stage.record_of(talk.callee)["call_id"]
    expect_same(site, CORRECTIONS, *names)
    site.stage.expect_nothing_left()
    site.stage.expect_books_in_order()


def test_both_fronts_confirm_a_payment(site: Watched) -> None:
    names = fronts()
    for values in names:
        asked = {"amount": "3000", "reference": f"second-{values['N']}"}
        values["WAITING"] = str(site.api.ask("POST", "/accounts/other/payments", asked).json["waiting"]["id"])
    expect_same(site, CONFIRMED, *names)


@pytest.fixture
def on_mariadb(tmp_path: Path, mariadb_url: str) -> Iterator[Watched]:
    """Return an installation whose switch does not run."""
    text = configuration(Path(__file__).parent / "switch.yaml", API_SWITCH, mariadb_url) + BILLING
    daemon = Daemon(tmp_path, text)
    daemon.migrate()
    with Api(daemon.configuration_file) as api:
        yield Watched(daemon, api, Stage(daemon, API_SWITCH))


@pytest.mark.mariadb
def test_both_fronts_do_the_same_on_mariadb(on_mariadb: Watched) -> None:
    for steps in (MONEY, ACCESS):
        expect_same(on_mariadb, steps, *fronts())


def test_both_fronts_make_invoices(tmp_path: Path) -> None:
    text = configuration(Path(__file__).parent / "switch.yaml", API_SWITCH) + BILLING
    daemon = Daemon(tmp_path, text)
    daemon.migrate()
    names = fronts()
    url = f"sqlite+aiosqlite:///{daemon.directory / 'vosd.db'}"
    book_calls_of_february(url, *(values["N"] for values in names), "acme")
    with Api(daemon.configuration_file) as api:
        site = Watched(daemon, api, Stage(daemon, API_SWITCH))
        daemon.succeed("invoice", "run", "--period", "2026-02", "--account", "acme")
        expect_same(site, [INVOICE_RUN], *names)
        of_account = {each["account"]: str(each["id"]) for each in site.items("/invoices")}
        for values in names:
            values |= {"INV": of_account[values["N"]], "READ": of_account["acme"]}
        expect_same(site, INVOICES, *names)


def book_calls_of_february(url: str, *accounts: str, begun: int = 1_770_000_000_000, first: int = 0) -> None:
    """Book a call that begins in February 2026 on each account, in the database at ``url``."""

    async def book() -> None:
        database = Database(url)
        for index, name in enumerate(accounts, first):
            times = {"started_at": begun, "answered_at": begun + 4_000, "ended_at": begun + 64_000}
            await SqlBooks(database).book([answered_call(index, customer_account=name, tax=Decimal("0.001"), **times)])
        await database.close()

    asyncio.run(book())


STEPS: Final = (
    *chain.from_iterable(STORIES.values()), *BLACKLIST, *PHONES_GO, *TALKS, FOLLOWED, *TRIALS, *CORRECTIONS, *CONFIRMED,
    INVOICE_RUN, *INVOICES,
)  # fmt: skip
NO_VERB: Final = {
    "verbs are for the machine of the switch, where backups are files": ("backups.keep_backup", "backups.list_backups",
        "backups.verify_backup"),
    "for the switch of a partner": ("bilateral.show_totals",),
    "vosd rates lookup asks one deck": ("decks.find_rates",),
    "vosd definitions import changes many objects, by another order": ("bulk.change_objects",),
    "vosd definitions list, show: without the objects of the files": ("shown_objects.list_definitions",
        "shown_objects.show_definition"),
    "vosd events asks the running switch": ("events.view_events",),
    "vosd check works without an office": ("installation.check_configuration",),
    "verbs are carried out at once, not as jobs": ("jobs.read_result",),
    "vosd user list has all of each": ("people.show_person",),
    "for customers: at the terminal it is a key of the phone": ("phone_passwords.set_phone_password",),
    "for forms in which a token is made": ("tokens.preview_token",),
    "for pages of the console": ("saved_views.add_view", "saved_views.change_view", "saved_views.drop_view",
        "saved_views.list_views"),
    "for forms of objects; docs/configuration.md has the same": ("shown_objects.show_kind",),
    "for forms, in which a calendar is drawn before it is saved": ("calendars.draw_calendar",),
    "part of other use cases": ("planned_change.plan_of", "ledger.are_more_entries", "records.are_more_records"),
    "vosd payment import reads the file itself": ("payment_file.read_payments",),
}  # fmt: skip
"""Use cases without a verb, by their reasons."""
NO_OPERATION: Final = {
    "GET /KIND and GET /KIND/{name} have those of the files, too": ("shown_objects.list_objects",
        "shown_objects.show_object"),
    "a file with passwords, for the machine of the switch": ("shown_objects.export_objects",),
    "GET /events is the same, of the API's own feed": ("events.follow_events",),
    "files on the machine of the switch": ("export.write_export", "foreign_calls.rate_foreign_calls",
        "installation.make_backup", "payment_file.import_payments", "retention.check_archive",
        "sheet_import.import_sheet", "spool.book_journal_file", "spool.book_refused", "spool.list_refused",
        "spool.show_refused"),
    "it asks the switch of a partner": ("bilateral.compare_partner",),
    "it reads a message from a file at the terminal": ("trunks.explain_trunk",),
    "GET /dids and GET /dids/{name}/versions have the same": ("dids.list_dids",),
    "GET /invoices has the ids of numbers": ("invoices.find_invoice",),
    "GET /invoices has which were mailed, and what each credit note cancels": ("mailed_invoices.list_unsent",),
    "it would end the process that answers": ("installation.restart_switch",),
    "a link of POST /people/{name}/reset takes its place": ("people.set_password",),
    "for the terminal of a switch without any person yet": ("people.invite_first",),
    "for what a person sees at a terminal": ("records.shorten_ids",),
    "work on the sums of reports, as long as it takes": ("report_sums.add_up_calls", "report_sums.check_reports",
        "report_sums.count_not_added", "report_sums.rebuild_reports"),
    "the operator's work on the books at the terminal": ("accounts.set_expiry", "accounts.list_account_groups",
        "account_history.show_account_history", "closing.close_account", "ledger.close_period",
        "ledger.verify_ledger", "minimum.book_minimums", "retention.list_drops", "retention.run_retention",
        "retention.show_dropped_totals"),
}  # fmt: skip
"""Use cases without an operation, by their reasons."""
APART: Final = {
    "about the session or the connection itself": ("DELETE /session", "DELETE /sessions", "GET /me", "GET /session",
        "GET /session/oidc", "GET /session/oidc/callback", "POST /session", "POST /session/link", "POST /session/totp",
        "PUT /session/password", "PUT /session/totp"),
    "another path of an operation that is compared": ("GET /decks/{rate_group}", "POST /decks/{rate_group}"),
    "about the API": ("GET /docs", "GET /health", "GET /openapi.json", "GET /ready"),
    "as of any other kind, but a parameter is one for both fronts": ("PUT /parameters/{name}",
        "DELETE /parameters/{name}", "GET /parameters/{name}/versions", "GET /parameters/{name}/diff",
        "POST /parameters/{name}/revert"),
    "its use case has no verb": ("GET /KIND", "GET /KIND/{name}", "GET /definitions/{kind}", "GET /backups",
        "GET /bilateral/{account}", "GET /events", "GET /jobs/{id}/result", "GET /people/{name}",
        "GET /rates/lookup", "POST /calendar-days",
        "GET /roles/{role}/operations", "POST /backups", "POST /backups/{name}/verify", "POST /bulk",
        "POST /payment-files",
        "PUT /phones/{number}/password", "GET /views", "POST /views", "PUT /views/{id}", "DELETE /views/{id}"),
    "vosd definitions set replaces all keys": ("PATCH /KIND/{name}",),
    "vosd token show prints the permissions, not the operations": ("GET /tokens/{id}/operations",),
}  # fmt: skip
"""Operations that no verb is compared with, by their reasons."""


def test_each_use_case_is_compared_or_has_a_reason() -> None:
    by_operation = frozenset().union(*of_operations().values())
    by_a_verb = frozenset().union(*of_verbs().values())
    compared = {
        each for step in STEPS for each in of_operations()[family(operation_of(step))] & of_verbs()[verb_of(step)]
    }
    no_verb, no_operation = ({*chain.from_iterable(names.values())} for names in (NO_VERB, NO_OPERATION))
    assert use_cases() - compared == no_verb | no_operation
    assert (no_verb & by_a_verb, no_operation & by_operation) == (set(), set()), "what has both is compared"


def test_each_operation_is_compared_or_has_a_reason() -> None:
    compared = {family(operation_of(step)) for step in STEPS}
    assert of_operations().keys() - compared == {*chain.from_iterable(APART.values())}
