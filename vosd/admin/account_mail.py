"""A mail to the owner of an account about it: little money is left, or it expires soon."""

import re
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Final, NamedTuple

from vosd.base.mail import begun_mail
from vosd.billing.invoice_terms import IssuerTerms

_PLACE: Final = re.compile(r"\{(\w+)\}")


class MailParties(NamedTuple):
    """Sender, recipients and issuer of such a mail."""

    sender: str
    """Address that it comes from."""
    recipients: Sequence[str]
    """Addresses of the owner."""
    copies: Sequence[str]
    """Further addresses, which the owner does not see."""
    issuer: IssuerTerms
    """Issuer of the invoices of the account, whose name stands below it."""


def account_mail(
    kind: str, values: Mapping[str, str], words: Mapping[str, str], parties: MailParties, now: int
) -> EmailMessage:
    """Return the mail; where the owner has no address, it goes to the further ones.

    Args:
        kind: name of its subject among the words; that of its text is the same with ``_text``.
        values: what stands for the names in braces there.
        words: words of a language, as invoices have them.
        parties: sender and recipients.
        now: UTC milliseconds.
    """
    recipients = parties.recipients or parties.copies
    message = begun_mail(parties.sender, recipients, make_msgid(domain="vosd.invalid"), now)
    if parties.recipients and parties.copies:
        message["Bcc"] = ", ".join(parties.copies)
    subject, text = (_filled(words[name], values) for name in (kind, f"{kind}_text"))
    message["Subject"] = " ".join(subject.split())  # a line end would begin another header
    issuer = parties.issuer
    message.set_content("\n".join([text, "", issuer.name, *issuer.contact, *issuer.bank]) + "\n")
    return message


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), text)
