"""``invoices``: issuers and their numbers; files beside the configuration."""

from pathlib import Path

import pytest

from vosd.billing.invoice_terms import InvoiceCycle, InvoiceLines
from vosd.catalogue.problems import ConfigError
from vosd.config.load import load

BASE = """
sip: {listen: ["udp:127.0.0.1:5060"]}
database: {url: "sqlite+aiosqlite:///vosd.db"}
"""


def loaded(directory: Path, text: str):
    (directory / "vosd.yaml").write_text(BASE + text)
    return load(directory / "vosd.yaml", {})


def test_an_agent_has_terms_of_its_own(tmp_path: Path) -> None:
    keys = (
        "account: reseller, name: Reseller, address: [One, Two], tax_id: T1, bank: B, contact: C, number: 'R{number}', "
        "credit_number: 'N{number}', due_days: 3, language: zh, lines: prefix"
    )
    terms = loaded(tmp_path, f"invoices: {{agents: [{{{keys}}}]}}\n").settings.invoices.agents["reseller"]
    assert (terms.name, terms.address, terms.tax_id, terms.bank, terms.contact) == (
        "Reseller", ("One", "Two"), "T1", ("B",), ("C",),
    )  # fmt: skip
    assert (terms.number, terms.credit_number, terms.due_days, terms.language, terms.lines) == (
        "R{number}", "N{number}", 3, "zh", InvoiceLines.PREFIX,
    )  # fmt: skip


def test_an_account_says_how_it_gets_invoices(tmp_path: Path) -> None:
    rates = "rate_groups: [{name: sell, currency: USD, rates: [{prefix: '44', billing_rate: '0.6'}]}]\n"
    keys = (
        "{cycle: week, name: Acme, address: [Way], tax_id: T, language: de, due_days: 0, lines: area, "
        "mail: a@b.example}"
    )
    found = loaded(tmp_path, f"{rates}accounts: [{{id: acme, rate_group: sell, invoice: {keys}}}]\n")
    terms = found.catalogue.accounts["acme"].invoice
    assert (terms.cycle, terms.name, terms.address, terms.tax_id) == (InvoiceCycle.WEEK, "Acme", ("Way",), "T")
    assert (terms.language, terms.due_days, terms.lines, terms.mail) == ("de", 0, InvoiceLines.AREA, ("a@b.example",))


def test_files_are_found_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"png")
    settings = loaded(tmp_path, "node: sw1\ninvoices: {logo_file: logo.png}\n").settings.invoices
    assert settings.logo_file == tmp_path / "logo.png"
    assert settings.issuer.name == "sw1"
    with pytest.raises(ConfigError, match=r"invoices\.template_file: value .*nothing\.typ.*: expected a readable file"):
        loaded(tmp_path, "invoices: {template_file: nothing.typ}\n")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("R", "once"), ("{number}-{number}", "once"), ("{day}{number}", "with {year}"), ("R {number}", "spaces"),
        ("{number:20}", "32 characters"), ("{year", "with {year}"),
    ],
)  # fmt: skip
def test_a_form_that_makes_no_numbers_is_refused(tmp_path: Path, form: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"invoices: {{number: '{form}'}}\n")
    assert said in str(refused.value)


def test_numbers_of_invoices_and_credit_notes_differ(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another form than that of number"):
        loaded(tmp_path, "invoices: {number: 'X{number}', credit_number: 'X{number}'}\n")


@pytest.mark.parametrize("agents", ["[{account: a}, {account: a}]", "[{name: only}]"])
def test_agents_are_named_once(tmp_path: Path, agents: str) -> None:
    with pytest.raises(ConfigError, match=r"invoices\.agents"):
        loaded(tmp_path, f"invoices: {{agents: {agents}}}\n")


def test_blocks_of_overdue_accounts_that_no_night_sets_are_a_warning(site):
    def warnings(text: str) -> list[str]:
        return [str(each) for each in site.load(text).problems if "lock_after_days" in str(each)]

    locked = "invoices: {lock_after_days: 9}\n"
    [warning] = warnings(locked)
    assert warning.endswith("and those that were blocked stay so until `vosd account unblock`")
    [warning] = warnings(f"{locked}nightly: {{at: '04:30', invoices: no}}\n")
    assert "no night blocks an account" in warning
    assert "stay so" not in warning
    assert warnings(f"{locked}nightly: {{at: '04:30'}}\n") == []


def test_a_minimum_that_no_night_books_is_a_warning(site):
    rest = (
        "rate_groups: [{name: g, rates: [{prefix: '4', billing_rate: '1'}]}]\n"
        "accounts: [{id: a, rate_group: g, minimum_consumption: 50}, {id: b, rate_group: g, minimum_consumption: 5}]\n"
    )

    def warnings(text: str) -> list[str]:
        return [str(each) for each in site.load(text + rest).problems if "minimum_consumption" in str(each)]

    for text in ("", "nightly: {at: '04:30', minimum: no}\n"):
        [warning] = warnings(text)
        assert "accounts[a].minimum_consumption" in warning
        assert "`vosd month close` or `vosd ledger minimum` each month" in warning
        assert "of these accounts: 2" in warning
    assert warnings("nightly: {at: '04:30'}\n") == []


def test_owners_who_are_mailed_by_no_server_are_a_warning(site):
    rest = (
        "rate_groups: [{name: g, rates: [{prefix: '4', billing_rate: '1'}]}]\n"
        "accounts: [{id: a, rate_group: g, alarm_mail: [a@example.com, b@example.com]}, {id: b, rate_group: g}]\n"
    )

    def warnings(text: str) -> list[str]:
        return [str(each) for each in site.load(text + rest).problems if "alarm_mail" in str(each)]

    [warning] = warnings("")
    assert "accounts[a].alarm_mail: expected alarms.mail as well, whose server sends them" in warning
    assert "accounts[a] get no mails" in warning
    assert (
        warnings("alarms: {mail: {server: mail.example.com, sender: v@example.com, recipients: n@example.com}}\n") == []
    )
