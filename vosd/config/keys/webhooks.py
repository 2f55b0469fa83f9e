"""URLs of HTTP servers that receive reports of the switch."""

from typing import Final
from urllib.parse import urlsplit

from vosd.config.reader.fields import FromText

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
