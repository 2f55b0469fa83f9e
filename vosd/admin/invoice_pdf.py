"""Invoices as PDF: typst compiles a template, and the invoice is data to it, so that no name of a customer is markup.

The files of the template are kept with the invoice: it is printed the same for ever, whatever is configured later.
"""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.admin.typesetting import TEMPLATE, TypesettingError, typeset
from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE

if TYPE_CHECKING:
    from vosd.engine.settings import InvoiceSettings

FORM: Final = Path(__file__).parent / "invoice_form"
LABELS: Final = "labels.json"
DATA: Final = "data.json"
LOGO: Final = "logo"


class InvoiceFormError(VosError):
    """The form cannot be printed: its template, labels or logo has a mistake."""


class _Language(msgspec.Struct, frozen=True):
    """A document, read for its language alone."""

    language: str = "en"


def form_of(settings: "InvoiceSettings") -> bytes:
    """Return the files by which invoices are printed now: JSON of their contents by name.

    Raises:
        InvoiceFormError: a file cannot be read, or the labels are no JSON of words by language.
    """
    try:
        files = {
            TEMPLATE: (settings.template_file or FORM / TEMPLATE).read_bytes(),
            LABELS: msgspec.json.encode(_labels_now(settings), order="sorted"),
        }
        if settings.logo_file is not None:
            files[LOGO + settings.logo_file.suffix.lower()] = settings.logo_file.read_bytes()
    except (OSError, *UNDECODABLE) as error:
        raise InvoiceFormError(f"the form of invoices cannot be read: {error}") from error
    return msgspec.json.encode({name: base64.b64encode(content).decode() for name, content in files.items()})


def words_now(settings: "InvoiceSettings", language: str) -> dict[str, str]:
    """Return the words of a language by which invoices are printed now, English ones where it has none.

    Raises:
        InvoiceFormError: the labels cannot be read.
    """
    try:
        labels = _labels_now(settings)
    except (OSError, *UNDECODABLE) as error:
        raise InvoiceFormError(f"the words of invoices cannot be read: {error}") from error
    return labels["en"] | labels.get(language, {})


def _labels_now(settings: "InvoiceSettings") -> dict[str, dict[str, str]]:
    labels = _labels((FORM / LABELS).read_bytes())
    if settings.labels_file is not None:
        for language, words in _labels(settings.labels_file.read_bytes()).items():
            labels[language] = labels.get(language, {}) | words
    return labels


def _labels(content: bytes) -> dict[str, dict[str, str]]:
    return msgspec.json.decode(content, type=dict[str, dict[str, str]])


def words_of(form: bytes, language: str) -> dict[str, str]:
    """Return the words of a language by which ``form_of`` has printed then, English ones where it has none."""
    labels = _labels(base64.b64decode(msgspec.json.decode(form, type=dict[str, str])[LABELS]))
    return labels["en"] | labels.get(language, {})


def printed(form: bytes, document: str, issued_at: int | None) -> bytes:
    """Return the PDF of an invoice; the same files and document always make the same bytes.

    Args:
        form: what ``form_of`` has returned when it was issued.
        document: the invoice as JSON.
        issued_at: date of the file, UTC milliseconds.

    Raises:
        InvoiceFormError: the template has a mistake.
        MissingLetterError: no font on the machine has a letter that is printed.
    """
    files = {
        name: base64.b64decode(content) for name, content in msgspec.json.decode(form, type=dict[str, str]).items()
    }
    logos = [name for name in files if name.startswith(f"{LOGO}.")]
    words = words_of(form, msgspec.json.decode(document, type=_Language).language)
    may_print = "".join((document, files[TEMPLATE].decode("utf-8", "replace"), *words.values()))
    try:
        return typeset(files | {DATA: document.encode()}, {LOGO: logos[0]} if logos else {}, issued_at or 0, may_print)
    except TypesettingError as error:
        raise InvoiceFormError(f"the template of invoices has a mistake: {error}") from error
