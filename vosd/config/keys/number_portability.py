"""``number_portability``: how the routing number of a called number is found."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from vosd.base.host import is_address
from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.reader.addresses import destination
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    FromText,
    KeyProblemError,
    Keys,
    milliseconds,
    switch,
    text_where,
    whole,
)
from vosd.config.reader.numbers import dialled_prefix
from vosd.trunks.gateways import Address

_NUMBER: Final = "{number}"
_OF_A_LOOKUP: Final = frozenset({"timeout", "fail_open", "prefixes", "cache_entries", "cache_ttl"})
"""Keys that mean nothing where no number is looked up."""
_FIELD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}\Z")


def lookup_url() -> FromText:
    """Read a URL with the place of the number in it."""

    def read(text: str) -> str:
        url = urlsplit(text)
        is_whole = url.scheme in {"http", "https"} and url.hostname and not url.username and not url.fragment
        if not is_whole or text.count(_NUMBER) != 1 or _NUMBER in url.netloc or not _is_plain(text):
            raise ValueError
        _ = url.port  # ValueError for one that is none
        return text

    return FromText("an http or https URL with {number} once, such as http://192.0.2.5:8080/lrn/{number}", read)


def json_field() -> FromText:
    """Read the name of a field of a JSON document, with dots for fields inside of others."""
    return text_where(_FIELD.match, "the name of a field, such as lrn or result.lrn")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and len(text) <= 500


class NumberPortabilityKeys(Keys):
    """Server that knows the routing numbers of called numbers, asked before a call is routed. Default: nowhere.

    A reload changes it.
    """

    url: Annotated[str, lookup_url()] = ""
    """Look numbers up by HTTP: ``{number}`` stands for the called number without ``+``. Status 404 or 204, an empty
    body or an empty field: the number is not ported."""
    field: Annotated[str, json_field()] = ""
    """The answer is JSON, and this field has the routing number; ``result.lrn`` is a field in a field. Default: the
    body is the routing number."""
    authorization: Annotated[Secret | None, password_text()] = None
    """Value of the header Authorization, best with ``${ENV}``."""
    server: Annotated[Address | None, destination()] = None
    """Instead of ``url``: a SIP server that answers INVITE with 302 and a Contact with ``rn=``. An IP address."""
    timeout: Annotated[int, milliseconds(50, 10_000)] = 1_000
    """Time that a call waits for the answer."""
    fail_open: Annotated[bool, switch()] = True
    """``yes``: without an answer the call is routed by the dialled number; ``no``: it is refused with 503."""
    prefixes: Annotated[tuple[Annotated[str, dialled_prefix()], ...], ONE_OR_MANY] = ()
    """Only numbers that begin so are looked up. Default: all."""
    rate_by_routing_number: Annotated[bool, switch()] = False
    """``yes``: the rates of the routing number hold for customer and vendor, and it is the billed number of the CDR."""
    cache_entries: Annotated[int, whole(0, 1_000_000)] = 50_000
    """Answers that are kept, some 300 bytes each; 0 keeps none."""
    cache_ttl: Annotated[int, whole(1, 604_800, "seconds")] = 3_600
    """For how long an answer is kept."""

    def _judge(self) -> None:
        if self.url and self.server is not None:
            raise KeyProblemError("server", "either url or server")
        if self.server is not None and not is_address(self.server.host):
            raise KeyProblemError("server", "an IP address")
        if not self.url and (self.field or self.authorization is not None):
            raise KeyProblemError("url", "the URL that is asked")
        if not self.url and self.server is None and not self.model_fields_set.isdisjoint(_OF_A_LOOKUP):
            raise KeyProblemError("url", "the URL that is asked, or server; without one no number is looked up")
