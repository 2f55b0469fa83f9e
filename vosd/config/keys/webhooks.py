"""HTTP servers that receive reports of the switch: their URLs, and ``webhooks``, the receivers of live events."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.reader.fields import ONE_OR_MANY, FromText, Keys, milliseconds, switch, text_where, whole
from vosd.control.events import TYPES_BY_NAME

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_URL_MAX: Final = 500
"""Characters."""


def report_url() -> FromText:
    """Read the URL of a server that receives reports."""

    def read(text: str) -> str:
        url = urlsplit(text)
        is_whole = url.scheme in {"http", "https"} and url.hostname and not url.username and not url.fragment
        if not is_whole or not text.isascii() or not text.isprintable() or " " in text or len(text) > _URL_MAX:
            raise ValueError
        _ = url.port  # ValueError for one that is none
        return text

    return FromText("an http or https URL, such as https://ops.example.com/vosd", read)


def _event_type() -> FromText:
    return text_where(
        lambda text: text in TYPES_BY_NAME, "a type of events such as call.ended, or a subject such as call"
    )


def _receiver_name() -> FromText:
    return text_where(_NAME.fullmatch, "up to 40 lower-case letters, digits and hyphens, a letter first")


class ReceiverKeys(Keys):
    """An HTTP server that receives live events, each as a signed POST. docs/api.md says how it checks the signature.

    A reload changes all of it. What waits for a receiver that is taken out is dropped.
    """

    name: Annotated[str, _receiver_name()]
    """Name in alarms and lists, and directory below ``state_dir/webhooks``."""
    url: Annotated[str, report_url()]
    """URL to which events are sent; redirects are not followed."""
    types: Annotated[tuple[Annotated[str, _event_type()], ...], ONE_OR_MANY] = ()
    """Types of events (``call.ended``) and subjects (``call``: all types of it). Default: all."""
    secret: Annotated[Secret | None, password_text()] = None
    """Key of the signature, best with ``${ENV}``. Default: not signed."""
    allow_private: Annotated[bool, switch()] = False
    """Whether the server may have an address of this machine or of a private network."""
    retry_interval: Annotated[int, milliseconds(100, 3_600_000)] = 5_000
    """Time after which an event is sent again that was not taken; it doubles each time."""
    retry_max: Annotated[int, milliseconds(100, 86_400_000)] = 600_000
    """Longest such time."""
    max_age: Annotated[int, whole(1, 2_592_000, "seconds")] = 86_400
    """An older event becomes a dead letter."""
    queue: Annotated[int, whole(100, 1_000_000)] = 10_000
    """Most events that wait, in memory and in ``state_dir``; of more the oldest become dead letters."""
    connections: Annotated[int, whole(1, 32)] = 2
    """Number of events that are sent at a time, each of another call or subject."""
