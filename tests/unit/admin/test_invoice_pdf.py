"""The printed form of invoices, read by a program that knows PDF."""

import base64
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
import typst
from pypdf import PdfReader

from vosd.admin.invoice_mail import InvoiceFiles, invoice_mail
from vosd.admin.invoice_pdf import FORM, LABELS, InvoiceFormError, form_of, printed, words_of
from vosd.admin.typesetting import MissingLetterError
from vosd.base.money import format_amount
from vosd.engine.settings import InvoiceSettings
from vosd.invoicing.invoice import InvoiceDocument, InvoiceLine, InvoiceParty, InvoiceSection, MovementLine, TaxLine

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)
HOSTILE = '#panic("x") <script>alert(1)</script> $1^2$ *b* @preview'


FILES = InvoiceFiles(b"%PDF", None)


def invoice(language: str = "en", lines: int = 3, **changes: object) -> InvoiceDocument:
    document = InvoiceDocument(
        kind="invoice",
        number="2026-000017",
        cancels="",
        issuer=InvoiceParty(account="", name="Example Telecom", address=("1 High Street",), bank=("IBAN GB00",)),
        recipient=InvoiceParty(account="acme", name=HOSTILE, tax_id="T1"),
        period="2026-10",
        first_day="2026-10-01",
        last_day="2026-10-31",
        zone="UTC",
        issued_on="2026-11-02",
        due_on="2026-11-16",
        currency="EUR",
        language=language,
        lines=tuple(
            InvoiceLine(
                section=InvoiceSection.CALLS, area=f"Area {index}", prefix="", price=None, per=None, tax_rate="19",
                calls=index, seconds=61 * index, net=f"{index}.12345678",
            )
            for index in range(1, lines + 1)
        ),
        taxes=(TaxLine("19", "1234.5678", "234.567882"),),
        net="1234.5678",
        tax="234.567882",
        gross="1469.135682",
        opening="-5.50",
        movements=(MovementLine("2026-10-03", "payment", "bank 7", "thanks", "1000000.25"),),
        closing="998525.614318",
    )  # fmt: skip
    return msgspec.structs.replace(document, **changes)


def text_of(document: InvoiceDocument, settings: InvoiceSettings | None = None) -> list[str]:
    form = form_of(settings or InvoiceSettings())
    content = printed(form, msgspec.json.encode(document).decode(), 1_793_000_000_000)
    return [page.extract_text() for page in PdfReader(BytesIO(content)).pages]


def test_every_figure_of_the_invoice_is_on_its_pages() -> None:
    pages = text_of(invoice(lines=80))
    whole = "\n".join(pages)
    assert len(pages) > 1
    for index in range(1, 81):
        assert f"Area {index} {index} {61 * index // 60}:{61 * index % 60:02} 19 % {index}.12345678" in whole
    for said in (
        "Example Telecom", "2026-000017", "2026-10-01 \u2013 2026-10-31", "2026-11-16", "EUR", "IBAN GB00",
        "Tax 19 % (1,234.5678) 234.567882", "Total 1,469.135682 EUR",
        "Balance before \u22125.50", "Invoice \u22121,469.135682",
        "Payment bank 7 thanks 1,000,000.25", "Balance 998,525.614318",
    ):  # fmt: skip
        assert said in whole, said
    assert f"{len(pages)} / {len(pages)}" in pages[-1]


def test_names_are_text_and_no_markup() -> None:
    whole = " ".join("\n".join(text_of(invoice())).split())
    assert '#panic("x") <script>alert(1)</script> $1^2$ *b*' in whole
    assert "@preview" in whole


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", "Gesamt 1.469,135682 EUR"), ("fr", "Total 1 469,135682 EUR"), ("es", "Total 1.469,135682 EUR"),
        ("xx", "Total 1,469.135682 EUR"),
    ],
)  # fmt: skip
def test_words_and_amounts_are_those_of_the_language(language: str, said: str) -> None:
    assert said in "\n".join(text_of(invoice(language))).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("currency", "net", "gross", "said"),
    [
        ("EUR", "870.40", "1035.776", "Net 870.40 Tax 19 % (870.40) 165.376 Total 1,035.776 EUR"),
        (
            "JPY",
            "47264187.00",
            "56244382.53",
            "Net 47,264,187 Tax 19 % (47,264,187) 8,980,195.53 Total 56,244,382.53 JPY",
        ),
        ("JPY", "0.00", "-100.00", "Net 0 Tax 19 % (0) \u2212100 Total \u2212100 JPY"),
        ("KWD", "870.40", "883.00", "Net 870.400 Tax 19 % (870.400) 12.600 Total 883.000 KWD"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, net: str, gross: str, said: str) -> None:
    tax = format_amount(Decimal(gross) - Decimal(net))
    document = invoice(currency=currency, net=net, taxes=(TaxLine("19", net, tax),), tax=tax, gross=gross)
    assert said in " ".join("".join(text_of(document)).split())


def test_an_invoice_of_nothing_takes_nothing_from_the_balance() -> None:
    (page,) = text_of(invoice(net="0.00", taxes=(), tax="0.00", gross="0.00"))
    assert "Invoice 0.00\n" in page


@pytest.fixture
def has_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as a machine with all fonts does."""
    monkeypatch.setattr("vosd.admin.typesetting._missing_letter", lambda _text: None)


@pytest.mark.usefixtures("has_fonts")
def test_text_of_another_direction_keeps_its_order() -> None:
    minimum = InvoiceLine(
        section=InvoiceSection.MINIMUM, area="", prefix="minimum/2026-10", price=None, per=None, tax_rate="0", calls=1,
        seconds=0, net="5.00",
    )  # fmt: skip
    (arabic,) = text_of(invoice("ar", 1))
    (english,) = text_of(msgspec.structs.replace(invoice(), lines=(minimum,)))
    assert "1 High Street" in arabic
    assert "\u22125.50" in arabic
    assert "2026-10 0 % 5.00\n" in english


def test_corrections_are_not_printed_as_calls() -> None:
    twice = InvoiceLine(
        section=InvoiceSection.CORRECTIONS, area="UK", prefix="44", price=None, per=None, tax_rate="19", calls=2,
        seconds=0, net="-5.00",
    )  # fmt: skip
    (page,) = text_of(msgspec.structs.replace(invoice(), lines=(twice,)))
    assert "UK (44) 19 % \u22125.00\n" in page, "a call that was corrected twice is one call"


def test_a_price_of_a_cycle_is_not_printed_as_one_of_the_minutes_beside_it() -> None:
    by_minute = InvoiceLine(
        section=InvoiceSection.CALLS, area="UK", prefix="", price="0.60", per="minute", tax_rate="19", calls=1,
        seconds=120, net="1.20",
    )  # fmt: skip
    by_cycle = msgspec.structs.replace(by_minute, area="France", price="0.0001", per="cycle", net="0.012")
    (page,) = text_of(msgspec.structs.replace(invoice("de"), lines=(by_minute, by_cycle)))
    assert "UK 1 2:00 0,60 19 % 1,20\n" in page
    assert "France 1 2:00 0,0001 / Takt 19 % 0,012\n" in page


def test_a_mail_has_the_language_of_its_invoice() -> None:
    form = form_of(InvoiceSettings())

    def mailed(document: InvoiceDocument) -> tuple[str, list[str]]:
        words = words_of(form, document.language)
        now = 1_793_000_000_000
        message = invoice_mail(document, words, "a@example.com", ["b@example.com"], FILES, 7, now, is_paid=False)
        return message["Subject"], message.get_body().get_content().splitlines()[:2]

    subject, lines = mailed(invoice("de"))
    assert subject == "Rechnung 2026-000017 Example Telecom"
    assert lines == ["Rechnung 2026-000017, 2026-11-02: 1469,135682 EUR", "Bitte zahlen Sie bis 2026-11-16."]
    assert mailed(invoice("xx", 3, kind="credit_note"))[0] == "Credit note 2026-000017 Example Telecom"


def test_mails_of_two_carriers_with_the_same_number_are_two_mails() -> None:
    def mailed(document: InvoiceDocument) -> str:
        words = words_of(form_of(InvoiceSettings()), "en")
        return str(
            invoice_mail(document, words, "a@example.com", ["b@example.com"], FILES, 7, 0, is_paid=False)["Message-ID"]
        )

    ours = invoice("en")
    theirs = msgspec.structs.replace(ours, issuer=msgspec.structs.replace(ours.issuer, name="Another Carrier"))
    assert mailed(ours) == mailed(ours) != mailed(theirs)


def test_the_mailbox_of_an_invoice_is_told_that_no_person_has_sent_it() -> None:
    """One whose owner is on holiday answers else: to the address that customers write to (RFC 3834)."""
    words = words_of(form_of(InvoiceSettings()), "en")
    mail = invoice_mail(invoice("en"), words, "a@example.com", ["b@example.com"], FILES, 7, 0, is_paid=False)
    assert mail["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("is_paid", [True, False])
def test_who_has_paid_is_not_asked_to_pay(is_paid: bool) -> None:
    """The money of a prepaid account is there before; a customer who is asked for it may pay twice."""
    document, words = invoice(is_settled=is_paid), words_of(form_of(InvoiceSettings()), "en")
    mail = invoice_mail(document, words, "a@x", ["b@x"], FILES, 7, 0, is_paid=is_paid)
    assert ("Please pay by" in "\n".join(text_of(document))) is not is_paid
    assert ("Please pay by" in mail.get_body().get_content()) is not is_paid


@pytest.mark.usefixtures("has_fonts")
def test_every_language_has_every_word() -> None:
    labels = msgspec.json.decode((FORM / LABELS).read_bytes())
    assert sorted(labels) == ["ar", "de", "en", "es", "fr", "zh"]
    assert {tuple(sorted(words)) for words in labels.values()} == {tuple(sorted(labels["en"]))}
    for language in ("ar", "zh"):
        assert len(text_of(invoice(language))) == 1


def test_an_invoice_whose_letters_no_font_has_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer would be mailed boxes instead of words."""
    monkeypatch.setattr(typst, "compile", partial(typst.compile, ignore_system_fonts=True))
    line = invoice().lines[0]
    for document, letter in (
        (invoice("zh"), "[\u4e00-\u9fff]"),
        (msgspec.structs.replace(invoice(), lines=(msgspec.structs.replace(line, area="\u4e2d"),)), "\u4e2d"),
    ):
        with pytest.raises(MissingLetterError, match=f"has the letter {letter}, which would be printed: install one"):
            text_of(document)
    assert text_of(invoice("de", issuer=InvoiceParty(account="", name="\u0160koda \U0001f355")))


def test_letters_that_the_template_does_not_print_need_no_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memo of a payment may be words for the operator alone."""
    monkeypatch.setattr(typst, "compile", partial(typst.compile, ignore_system_fonts=True))
    document = invoice(movements=(MovementLine("2026-10-03", "payment", "", "\u8865\u6b3e", "5"),))
    own = tmp_path / "own.typ"
    own.write_text('#set document(title: "\u8865")\n#let invoice = json("data.json")\n#invoice.number')
    assert text_of(document, InvoiceSettings(template_file=own)) == ["2026-000017"]
    for text in ('#json("data.json").movements.first().memo', "#set page(footer: [\u6b3e])"):
        own.write_text(text)
        with pytest.raises(MissingLetterError, match=r"[\u8865\u6b3e]"):
            text_of(document, InvoiceSettings(template_file=own))


def test_a_credit_note_and_a_draft_say_so() -> None:
    note = "\n".join(text_of(invoice(kind="credit_note", number="C1", cancels="2026-000017", due_on="")))
    assert "Credit note" in note
    assert "Takes back invoice 2026-000017" in note
    assert "Please pay by" not in note
    assert "DRAFT" in "\n".join(text_of(invoice(number="", issued_on="", due_on="")))


def test_a_template_words_and_a_logo_of_the_operator_are_used(tmp_path: Path) -> None:
    (tmp_path / "own.typ").write_text(
        '#let invoice = json("data.json")\n#json("labels.json").nl.total: #invoice.gross'
        '#if "logo" in sys.inputs [#image(sys.inputs.logo) with logo]\n'
    )
    (tmp_path / "labels.json").write_text('{"nl": {"total": "Totaal"}}')
    (tmp_path / "logo.png").write_bytes(PIXEL)
    settings = InvoiceSettings(
        template_file=tmp_path / "own.typ", labels_file=tmp_path / "labels.json", logo_file=tmp_path / "logo.png"
    )
    assert "".join(text_of(invoice(), settings)).replace("\n", " ").split() == [
        "Totaal:", "1469.135682", "with", "logo",
    ]  # fmt: skip


def test_the_file_is_of_the_moment_of_issue_and_a_draft_has_no_date() -> None:
    issued, draft = (
        PdfReader(BytesIO(printed(form_of(InvoiceSettings()), msgspec.json.encode(each).decode(), at))).metadata
        for each, at in ((invoice(), 1_793_000_000_000), (invoice(number="", issued_on="", due_on=""), None))
    )
    assert issued is not None
    assert issued.creation_date == datetime(2026, 10, 26, 7, 33, 20, tzinfo=UTC)
    assert draft is not None
    assert draft.creation_date is None


def test_the_same_invoice_is_the_same_file() -> None:
    form, document = form_of(InvoiceSettings()), msgspec.json.encode(invoice()).decode()
    assert printed(form, document, 1_793_000_000_000) == printed(form, document, 1_793_000_000_000)


@pytest.mark.parametrize("text", ["#nothing", '#read("/etc/passwd")', '#read("../x")'])
def test_a_template_with_a_mistake_says_so_and_reads_nothing_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.typ").write_text(text)
    form = form_of(InvoiceSettings(template_file=tmp_path / "own.typ"))
    with pytest.raises(InvoiceFormError, match="the template of invoices has a mistake"):
        printed(form, "{}", None)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvoiceFormError, match="absent"):
        form_of(InvoiceSettings(logo_file=tmp_path / "absent.png"))
    for content in (b"[]", '{"de": {"due": "Fällig"}}'.encode("latin-1")):
        (tmp_path / "labels.json").write_bytes(content)
        with pytest.raises(InvoiceFormError):
            form_of(InvoiceSettings(labels_file=tmp_path / "labels.json"))
