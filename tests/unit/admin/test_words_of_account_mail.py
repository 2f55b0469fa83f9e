"""The text of mails to owners of accounts."""

import pytest

from vosd.admin.account_mail import MailParties, account_mail
from vosd.admin.invoice_pdf import InvoiceFormError, words_now
from vosd.billing.invoice_terms import IssuerTerms
from vosd.engine.settings import InvoiceSettings

LOW = {"account": "Acme {left} (acme)", "left": "4.80", "least": "5.00", "currency": "USD"}
ISSUER = IssuerTerms(name="Example Telecom", contact=("support@example.com",), bank=("IBAN GB00",))


def test_the_owner_is_told_what_is_left_and_the_agent_gets_a_copy_that_it_does_not_see() -> None:
    parties = MailParties("vosd@example.com", ["a@acme.example", "b@acme.example"], ["agent@example.com"], ISSUER)
    mail = account_mail("balance_low", LOW, words_now(InvoiceSettings(), "en"), parties, 0)
    assert (mail["To"], mail["Bcc"]) == ("a@acme.example, b@acme.example", "agent@example.com")
    assert mail["Subject"] == "Account Acme {left} (acme): little money is left"
    assert mail.get_content() == (
        "4.80 USD are left for calls of your account Acme {left} (acme). This message comes when it is less than "
        "5.00 USD. Please pay before it is used up.\n\nExample Telecom\nsupport@example.com\nIBAN GB00\n"
    )
    alone = account_mail("balance_low", LOW, words_now(InvoiceSettings(), "en"), parties._replace(recipients=()), 0)
    assert (alone["To"], alone["Bcc"]) == ("agent@example.com", None)


@pytest.mark.parametrize("language", ["ar", "de", "en", "es", "fr", "zh"])
def test_every_language_says_all_of_it(language: str) -> None:
    words, parties = words_now(InvoiceSettings(), language), MailParties("v@example.com", ["a@example.com"], (), ISSUER)
    low = account_mail("balance_low", LOW, words, parties, 0).get_content()
    assert all(value in low for value in LOW.values())
    gone = account_mail("account_expires", {"account": "acme", "date": "2026-12-01 00:00 (UTC)"}, words, parties, 0)
    assert all("acme" in text and "2026-12-01 00:00 (UTC)" in text for text in (gone["Subject"], gone.get_content()))
    assert "{" not in gone["Subject"] + gone.get_content()


def test_own_words_take_the_place_of_those_that_ship_and_make_no_header(tmp_path) -> None:
    own = tmp_path / "labels.json"
    own.write_text('{"en": {"balance_low": "Pay!\\r\\nBcc: all@example.com {unknown}"}}')
    words = words_now(InvoiceSettings(labels_file=own), "nl")
    mail = account_mail("balance_low", LOW, words, MailParties("v@example.com", ["a@example.com"], (), ISSUER), 0)
    assert (mail["Subject"], mail["Bcc"]) == ("Pay! Bcc: all@example.com {unknown}", None)
    own.write_text("[]")
    with pytest.raises(InvoiceFormError, match="the words of invoices cannot be read"):
        words_now(InvoiceSettings(labels_file=own), "en")
