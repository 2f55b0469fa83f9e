"""The head of a mail that the switch sends by itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime


def begun_mail(sender: str, recipients: Sequence[str], message_id: str, now: int) -> EmailMessage:
    """Return a mail without subject and text; ``now`` is in UTC milliseconds.

    It wants no automatic answer (RFC 3834), as of a mailbox whose owner is on holiday.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(now / 1_000, UTC))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    return message
