"""``--as AGENT``: verbs that act with the rights of an agent, on its account and those below it."""

import asyncio
import csv
import json
import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from doubles.data.records import answered_call, call_id, charge_row
from doubles.migrated import migrated

from vosd.cdr.record import AGENT, Posting
from vosd.cli.main import main
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

LONG = "n" * 59
CONFIGURATION = """
database: {{url: "sqlite+aiosqlite:///{directory}/vosd.db"}}
control_socket: {directory}/vosd.sock
state_dir: {directory}
rate_groups: [{{name: sell, rates: [{{prefix: "44", billing_rate: "0.60"}}]}}]
accounts:
  - {{id: top, rate_group: sell, rights: [accounts, phones, gateways, gateway_capacity, own_payments, sub_payments]}}
  - {{id: mid, rate_group: sell, agent: top, rights: [accounts, sub_payments, gateway_capacity]}}
  - {{id: acme, rate_group: sell, agent: mid}}
  - {{id: bingo, rate_group: sell, agent: top}}
  - {{id: weak, agent: top, rights: []}}
  - {{id: below-weak, agent: weak}}
  - {{id: gone, agent: top, enabled: no, rights: [accounts]}}
  - {{id: below-gone, agent: gone, rights: [accounts]}}
  - {{id: below-both, agent: below-gone}}
  - {{id: {long}, agent: top, rights: [accounts]}}
  - {{id: below-long, agent: {long}}}
  - {{id: other, rate_group: sell}}
  - {{id: peer, type: partner, rate_group: sell}}
  - {{id: carrier, type: clearing, rate_group: sell, overdraft_limit: unlimited}}
destination_classes: [{{name: premium, prefixes: ["4490"]}}]
mapping_gateways:
  - {{name: acme-pbx, account: acme, hosts: 192.0.2.1}}
  - {{name: other-pbx, account: other, hosts: 192.0.2.2}}
routing_gateways:
  - {{name: carrier, account: carrier, address: 192.0.2.9}}
phones:
  - {{number: "7001", account: acme, password: secret}}
"""


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the two calls."""
    file = tmp_path_factory.mktemp("booked") / "vosd.db"
    asyncio.run(book(migrated(file)))
    return file


@pytest.fixture
def site(tmp_path: Path, booked: Path) -> Path:
    shutil.copy(booked, tmp_path / "vosd.db")
    (tmp_path / "vosd.yaml").write_text(CONFIGURATION.format(directory=tmp_path, long=LONG))
    return tmp_path


async def book(url: str) -> None:
    """Book a call of ``acme``, with its agents, and one of ``other``."""
    plain = answered_call(
        1, customer_account="acme", vendor_account="carrier", fee_breakdown='{"customer":[],"vendor":[]}'
    )
    charges = (*plain.charges, charge_row("mid", AGENT, 1, Decimal(2)), charge_row("top", AGENT, 2, Decimal(1)))
    postings = (
        *plain.postings,
        Posting("mid", Decimal(-2), f"{call_id(1)}/agent-1", "USD"),
        Posting("top", Decimal(-1), f"{call_id(1)}/agent-2", "USD"),
    )
    of_acme = msgspec.structs.replace(plain, charges=charges, postings=postings)
    async with Database(url) as database:
        await SqlBooks(database).book([of_acme, answered_call(2, customer_account="other", vendor_account="carrier")])


def vosd(site: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(site / "vosd.yaml"), *words])


def said(site: Path, *words: str):
    """Run a verb that succeeds; return its document."""
    done = vosd(site, *words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def refused(site: Path, *words: str) -> str:
    """Run a verb that fails; return why."""
    done = vosd(site, *words)
    assert done.exit_code in {1, 2}, done.output
    return done.stderr


def pay(site: Path, account: str, amount: str = "10") -> None:
    said(site, "payment", "add", "--account", account, "--amount", amount)


def balance(site: Path, account: str) -> str:
    return said(site, "account", "show", account)["balance"]


class TestAccounts:
    """``vosd account``."""

    def test_an_agent_sees_its_own_account_and_those_below_it(self, site):
        assert [each["id"] for each in said(site, "account", "list", "--as", "mid")] == ["mid", "acme"]
        assert [each["id"] for each in said(site, "account", "list", "--as", "top", "--agent", "mid")] == ["acme"]
        assert said(site, "account", "show", "acme", "--as", "mid")["id"] == "acme"

    @pytest.mark.parametrize("account", ["top", "bingo", "other", "carrier", "unknown"])
    def test_all_others_are_said_not_to_be_there(self, site, account):
        for verb in (("account", "show", account), ("account", "list", "--agent", account)):
            assert f"agent mid has no account {account}" in refused(site, *verb, "--as", "mid")

    def test_an_account_that_is_no_agent_cannot_act(self, site):
        assert "account acme is no agent" in refused(site, "account", "list", "--as", "acme")
        assert "no account 'mdi' is configured; did you mean 'mid'?" in refused(site, "account", "list", "--as", "mdi")

    def test_a_disabled_agent_cannot_act_nor_one_below_it(self, site):
        why = "agent gone may not act: it is disabled (enabled: no)"
        assert why in refused(site, "account", "block", "below-gone", "--as", "gone")
        assert "agent gone above it is disabled" in refused(site, "account", "list", "--as", "below-gone")

    def test_an_agent_whose_id_does_not_fit_the_record_cannot_act(self, site):
        assert "more than 58 characters cannot be recorded" in refused(site, "account", "list", "--as", LONG)

    def test_the_account_above_an_agent_is_not_shown_to_it(self, site):
        assert said(site, "account", "show", "mid")["agent"] == "top"
        assert "agent" not in said(site, "account", "show", "mid", "--as", "mid")
        listed = {each["id"]: each.get("agent") for each in said(site, "account", "list", "--as", "mid")}
        assert listed == {"mid": None, "acme": "mid"}
        assert said(site, "account", "show", "acme", "--as", "mid")["agent"] == "mid"

    def test_a_block_is_recorded_as_the_agents(self, site):
        (set_,) = said(site, "account", "block", "acme", "--as", "mid", "--memo", "unpaid")
        assert (set_["operator"], set_["memo"]) == ("agent mid", "unpaid")
        assert said(site, "account", "show", "acme")["blocked"] is True
        (cleared,) = said(site, "account", "unblock", "acme", "--as", "mid")
        assert cleared["setting"] == "blocked"

    def test_a_class_of_destinations_is_blocked_by_an_agent_for_accounts_below_it(self, site):
        premium = ("acme", "--destination", "premium", "--as", "mid")
        (set_,) = said(site, "account", "block", *premium)
        assert (set_["target"], set_["name"], set_["operator"]) == ("destination", "acme/premium", "agent mid")
        assert said(site, "account", "show", "acme")["blocked"] is False
        assert "account acme is not blocked" in refused(site, "account", "unblock", "acme", "--as", "mid")
        said(site, "account", "unblock", *premium)
        assert "agent mid has no account bingo" in refused(site, "account", "block", "bingo", *premium[1:])
        assert "did you mean" in refused(site, "account", "block", "acme", "--destination", "premum", "--as", "mid")

    def test_credit_needs_the_right_to_pay_and_the_rest_that_for_accounts(self, site):
        (set_,) = said(site, "account", "set", "acme", "--overdraft-limit", "5", "--as", "mid")
        assert (set_["value"], set_["operator"]) == ("5.00", "agent mid")
        said(site, "account", "set", "acme", "--expires-at", "2030-01-01T00:00:00Z", "--as", "mid")
        for verb, right in (
            (("account", "set", "below-weak", "--overdraft-limit", "5"), "sub_payments"),
            (("account", "set", "below-weak", "--expires-at", "never"), "accounts"),
            (("account", "block", "below-weak"), "accounts"),
            (("account", "unblock", "below-weak"), "accounts"),
        ):
            assert f"agent weak lacks the right {right}" in refused(site, *verb, "--as", "weak")
        assert said(site, "account", "show", "below-weak")["overdraft_limit"] == "0.00"

    def test_its_own_account_is_not_its_to_change(self, site):
        for verb in (
            ("set", "mid", "--overdraft-limit", "99"),
            ("block", "mid"),
            ("set", "mid", "--expires-at", "never"),
        ):
            assert "not its own" in refused(site, "account", *verb, "--as", "mid")

    def test_what_others_have_set_an_agent_neither_replaces_nor_clears(self, site):
        said(site, "account", "block", "acme", "--operator", "ann")
        assert "blocked of acme was not set by agent mid" in refused(site, "account", "unblock", "acme", "--as", "mid")
        said(site, "account", "set", "acme", "--overdraft-limit", "1", "--as", "top")
        raised = ("account", "set", "acme", "--overdraft-limit", "100")
        assert "was not set by agent mid" in refused(site, *raised, "--as", "mid")
        said(site, *raised, "--as", "top")

    def test_an_operator_is_not_named_beside_an_agent(self, site):
        words = ("account", "block", "acme", "--as", "mid", "--operator", "ann")
        assert "leave out --operator" in refused(site, *words)


class TestPayments:
    """``vosd payment``."""

    def test_what_an_agent_pays_to_an_account_below_comes_from_its_own(self, site):
        pay(site, "mid")
        before = balance(site, "mid"), balance(site, "acme")
        words = ("payment", "add", "--account", "acme", "--amount", "3", "--reference", "r1", "--as", "mid")
        receipt = said(site, *words)
        assert (receipt["account"], receipt["type"], receipt["amount"]) == ("acme", "transfer", "3.00")
        after = balance(site, "mid"), balance(site, "acme")
        assert [Decimal(b) - Decimal(a) for a, b in zip(before, after, strict=True)] == [-3, 3]
        assert said(site, *words)["repeated"] is True
        entries = said(site, "ledger", "list", "--account", "acme", "--type", "transfer")
        assert [(each["amount"], each["operator"]) for each in entries] == [("3.00", "agent mid")]

    def test_it_pays_no_more_than_it_has_available(self, site):
        pay(site, "mid", "5")
        before = balance(site, "acme")
        words = ("payment", "add", "--account", "acme", "--amount", "4", "--as", "mid")
        assert "mid" in refused(site, *words)  # calls have cost 2 of the 5
        moved = ("payment", "transfer", "--from", "mid", "--to", "acme", "--amount", "4", "--force", "--as", "mid")
        assert "--force is not for agents" in refused(site, *moved)
        assert balance(site, "acme") == before

    def test_a_transfer_goes_from_its_own_account_to_one_below(self, site):
        pay(site, "mid")
        source, target = said(
            site, "payment", "transfer", "--from", "mid", "--to", "acme", "--amount", "1", "--as", "mid"
        )
        assert (source["amount"], target["amount"]) == ("-1.00", "1.00")
        words = ("--amount", "1", "--as", "mid")
        assert "--from is the agent's own" in refused(
            site, "payment", "transfer", "--from", "acme", "--to", "mid", *words
        )
        assert "has no account other" in refused(site, "payment", "transfer", "--from", "mid", "--to", "other", *words)

    def test_payments_for_itself_are_a_right_of_their_own(self, site):
        receipt = said(site, "payment", "add", "--account", "top", "--amount", "7", "--as", "top")
        assert (receipt["type"], receipt["amount"]) == ("payment", "7.00")
        own = ("payment", "add", "--account", "mid", "--amount", "7", "--as", "mid")
        assert "agent mid lacks the right own_payments" in refused(site, *own)

    def test_without_the_right_nothing_is_booked(self, site):
        words = ("payment", "add", "--account", "below-weak", "--amount", "1", "--as", "weak")
        assert "agent weak lacks the right sub_payments" in refused(site, *words)
        assert said(site, "ledger", "list", "--account", "below-weak") == []

    def test_agents_book_payments_above_zero_alone(self, site):
        start = ("payment", "add", "--account", "acme", "--as", "mid")
        assert "--amount of an agent is above zero" in refused(site, *start, "--amount", "-1")
        assert "--type is not for agents" in refused(site, *start, "--amount", "1", "--type", "adjustment")
        assert "--type is not for agents" in refused(site, *start, "--type", "zero")


class TestLedger:
    """``vosd ledger``."""

    def test_entries_and_statements_are_those_of_accounts_below_or_its_own(self, site):
        assert {each["account"] for each in said(site, "ledger", "list", "--as", "top")} == {"top"}
        of_acme = said(site, "ledger", "list", "--account", "acme", "--as", "mid")
        assert [each["account"] for each in of_acme] == ["acme"]
        month = ("--month", "2026-09")
        assert said(site, "ledger", "statement", "--account", "acme", *month, "--as", "mid")["account"] == "acme"
        assert "lacks the right own_payments" in refused(site, "ledger", "list", "--as", "mid")
        for verb in (("list", "--account", "other"), ("statement", "--account", "other", *month)):
            assert "agent mid has no account other" in refused(site, "ledger", *verb, "--as", "mid")


class TestCalls:
    """``vosd cdr``."""

    def test_calls_are_those_of_accounts_below_without_the_vendors_side(self, site):
        (call,) = said(site, "cdr", "list", "--as", "mid")
        assert (call["call_id"], call["customer_account"], call["fee"]) == (call_id(1), "acme", "0.012345")
        assert {"vendor_account", "cost", "routing_gateway", "attempts"}.isdisjoint(call)
        assert [each["account"] for each in call["charges"]] == ["acme", "mid"]
        assert call["fee_breakdown"] == {"customer": []}
        (seen_above,) = said(site, "cdr", "list", "--as", "top")
        assert [each["account"] for each in seen_above["charges"]] == ["acme", "mid", "top"]
        assert said(site, "cdr", "list", "--as", "weak") == []

    def test_calls_of_accounts_below_an_agent_are_listed_directly_or_at_any_depth(self, site):
        def listed(*words):
            return [each["call_id"] for each in said(site, "cdr", "list", *words)]

        assert listed("--agent", "mid") == listed("--agent", "top", "--all") == [call_id(1)]
        assert listed("--agent", "top") == []
        assert listed("--agent", "top", "--all", "--as", "top") == [call_id(1)]
        assert "has no account top" in refused(site, "cdr", "list", "--agent", "top", "--all", "--as", "mid")
        assert "did you mean 'mid'?" in refused(site, "cdr", "list", "--agent", "midd")
        assert "--all says how many accounts" in refused(site, "cdr", "list", "--all")

    def test_csv_and_tables_have_the_same_columns(self, site):
        header, row = csv.reader(vosd(site, "cdr", "list", "--as", "mid", "--csv").stdout.splitlines())
        assert ("carrier" in " ".join(row), "cost" in header) == (False, False)
        table = vosd(site, "cdr", "list", "--as", "mid").stdout
        assert ("0.012345" in table, "carrier" in table, "routing_gateway" in table) == (True, False, False)

    def test_one_call_is_shown_where_it_is_seen(self, site):
        assert said(site, "cdr", "show", call_id(1), "--as", "mid")["fee"] == "0.012345"
        text = vosd(site, "cdr", "show", call_id(1), "--as", "mid").stdout
        assert ("acme" in text, "carrier" in text) == (True, False)
        assert "no call" in refused(site, "cdr", "show", call_id(2), "--as", "mid")
        assert "no call" in refused(site, "cdr", "list", "--before", call_id(2), "--as", "mid")
        for option in ("--why", "--ladder"):
            assert "is not for agents" in refused(site, "cdr", "show", call_id(1), option, "--as", "mid")

    def test_an_account_in_the_filter_must_be_seen_and_gateways_are_not_looked_for(self, site):
        assert "has no account other" in refused(site, "cdr", "list", "--account", "other", "--as", "mid")
        assert "--gateway is not for agents" in refused(
            site, "cdr", "list", "--gateway", "carrier-trunk", "--as", "mid"
        )
        assert "--vendor-currency is not for agents" in refused(
            site, "cdr", "list", "--vendor-currency", "EUR", "--as", "mid"
        )
        assert len(said(site, "cdr", "list", "--account", "acme", "--as", "mid")) == 1
        assert len(said(site, "cdr", "list", "--currency", "USD,EUR", "--as", "mid")) == 1
        assert said(site, "cdr", "list", "--currency", "CHF", "--as", "mid") == []
        assert "three capital letters" in refused(site, "cdr", "list", "--currency", "usd,", "--as", "mid")


class TestRates:
    """``vosd rate explain``."""

    WORDS = ("rate", "explain", "--callee", "4420", "--duration", "60", "--as", "mid")

    def test_agents_above_are_not_shown(self, site):
        explained = said(site, *self.WORDS, "--account", "acme")
        assert [each["account"] for each in explained["agents"]] == ["mid"]
        assert "agents" not in said(site, *self.WORDS, "--account", "mid")
        assert "has no account other" in refused(site, *self.WORDS, "--account", "other")
        assert "--buy is not for agents" in refused(site, *self.WORDS, "--account", "acme", "--buy")


def test_what_a_partner_is_paid_is_not_explained_by_its_account(site):
    words = ("rate", "explain", "--account", "peer", "--callee", "4420", "--duration", "60")
    assert said(site, *words)["fee"] == "0.60"
    assert "each of its routing gateways names the rate_group that it is paid by" in refused(site, *words, "--buy")


class TestGateways:
    """``vosd gateway``."""

    def test_capacity_blocks_and_phones_are_three_rights(self, site):
        (set_,) = said(site, "gateway", "set", "acme-pbx", "--max-concurrent", "5", "--as", "mid")
        assert (set_["target"], set_["operator"]) == ("mapping", "agent mid")
        assert "lacks the right gateways" in refused(site, "gateway", "block", "acme-pbx", "--as", "mid")
        assert "lacks the right phones" in refused(
            site, "gateway", "set", "7001", "--max-concurrent", "1", "--as", "mid"
        )
        said(site, "gateway", "block", "7001", "--as", "top")
        said(site, "gateway", "unblock", "7001", "--as", "top")

    def test_gateways_of_others_and_of_vendors_are_said_not_to_be_there(self, site):
        for name in ("other-pbx", "carrier", "unknown"):
            for words in (("block", name), ("unblock", name), ("set", name, "--max-concurrent", "1")):
                assert f"has no gateway or phone {name} below it" in refused(site, "gateway", *words, "--as", "top")
        assert "--priority is not for agents" in refused(
            site, "gateway", "set", "acme-pbx", "--priority", "1", "--as", "top"
        )


def test_a_right_that_was_taken_from_an_agent_above_is_suspended_before_the_file_is_checked(site):
    file = site / "vosd.yaml"
    file.write_text(file.read_text().replace("gateway_capacity, own_payments, sub_payments]", "gateway_capacity]", 1))
    assert "agent mid lacks the right sub_payments, or an agent above it does" in refused(
        site, "payment", "add", "--account", "acme", "--amount", "1", "--as", "mid"
    )
