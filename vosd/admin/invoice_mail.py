"""An issued invoice as a mail: PDF and calls are attached, the text says number, amount and day."""

import hashlib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import NamedTuple

from vosd.base.mail import begun_mail
from vosd.invoicing.invoice import InvoiceDocument


class InvoiceFiles(NamedTuple):
    """Files that are attached to the mail of an invoice."""

    pdf: bytes
    calls: bytes | None
    """ZIP file; None = without."""


def invoice_mail(
    document: InvoiceDocument,
    words: Mapping[str, str],
    sender: str,
    recipients: Sequence[str],
    files: InvoiceFiles,
    identity: int,
    now: int,
    *,
    is_paid: bool,
) -> EmailMessage:
    """Return the mail; a repeated one has the same Message-ID.

    Args:
        document: the invoice.
        words: words of its printed form, in its language.
        sender: address that the mail comes from.
        recipients: addresses that it goes to.
        files: what is attached.
        identity: id of the invoice.
        now: UTC milliseconds.
        is_paid: whether nothing of it is to be paid.
    """
    of_issuer = hashlib.sha256(f"{sender}\0{document.issuer.name}\0{document.number}".encode()).hexdigest()[:16]
    message = begun_mail(sender, recipients, f"<invoice-{of_issuer}-{identity}@vosd.invalid>", now)
    what = words[document.kind]
    message["Subject"] = _line(" ".join((what, document.number, document.issuer.name)))
    gross = document.gross.replace(".", words["decimal"])
    lines = [f"{what} {document.number}, {document.issued_on}: {gross} {document.currency}"]
    if document.due_on and not is_paid:
        lines.append(f"{words['pay_by']} {document.due_on}.")
    message.set_content("\n".join([*lines, "", document.issuer.name, *document.issuer.contact]) + "\n")
    name = "".join(each if each.isalnum() or each in "-_." else "-" for each in document.number)
    message.add_attachment(files.pdf, maintype="application", subtype="pdf", filename=f"{name}.pdf")
    if files.calls is not None:
        message.add_attachment(files.calls, maintype="application", subtype="zip", filename=f"{name}-calls.zip")
    return message


def _line(text: str) -> str:
    """Return text that fits into a header: a line end would begin another one."""
    return " ".join(text.split())
