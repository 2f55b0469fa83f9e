"""Strict rules for the values of headers, with a sentence for each violation.

The patterns are built from ``abnf``.
"""

import re
from datetime import date
from functools import cache
from typing import Final, NamedTuple

from vosd.sip.strictness.abnf import (
    ADDRESS,
    AUTH_PARAM,
    CALL_ID,
    COMMENT,
    DATE,
    HOST,
    HOSTPORT,
    MEDIA,
    NAME_ADDR,
    PARAMS,
    PORT,
    PRODUCT,
    QUOTED,
    REQUEST_URI,
    TEXT,
    TOKEN,
    URI,
    VIA,
    W,
    listed,
    listed_or_none,
)
from vosd.sip.wire.grammar import QUOTED as ANY_QUOTED, TOKEN as ANY_TOKEN


class _Rule(NamedTuple):
    pattern: str
    meaning: str
    largest: int | None = None
    """Largest value of the number in the first group of the pattern."""


_SECONDS: Final = _Rule(r"(\d++)", "a number of seconds below 2^32", (1 << 32) - 1)
_SECONDS_WITH_PARAMS: Final = _SECONDS._replace(pattern=rf"(\d++){PARAMS}")
_ADDRESS_RULE: Final = _Rule(f"{ADDRESS}{PARAMS}", "one address with parameters")
_ADDRESSES: Final = _Rule(listed(f"{ADDRESS}{PARAMS}"), "a list of addresses")
_ROUTES: Final = _Rule(listed(f"{NAME_ADDR}{PARAMS}"), "a list of URIs in angle brackets")
_TAGS: Final = _Rule(listed(TOKEN), "a list of words")
_TAGS_OR_NONE: Final = _Rule(listed_or_none(TOKEN), "a list of words")
_WORD_WITH_PARAMS: Final = _Rule(f"{TOKEN}{PARAMS}", "a word with parameters")
_PRODUCTS: Final = _Rule(rf"{PRODUCT}(?>(?:{W}{PRODUCT})*)", "a list of products and comments")
_CREDENTIALS: Final = _Rule(rf"{TOKEN}[ \t]++{listed(AUTH_PARAM)}", "a scheme with its parameters")
_LINKS: Final = _Rule(listed(f"<{W}{URI}{W}>{PARAMS}"), "a list of URIs in angle brackets")
_METHOD_NUMBER: Final = (1 << 31) - 1

_RULES: Final = {
    "accept": _Rule(listed_or_none(MEDIA), "a list of media types"),
    "accept-encoding": _Rule(listed_or_none(f"{TOKEN}{PARAMS}"), "a list of codings"),
    "accept-language": _Rule(listed_or_none(f"{TOKEN}{PARAMS}"), "a list of languages"),
    "alert-info": _LINKS,
    "allow": _TAGS_OR_NONE,
    "allow-events": _TAGS,
    "authentication-info": _Rule(listed(AUTH_PARAM), "a list of parameters"),
    "authorization": _CREDENTIALS,
    "call-id": _Rule(CALL_ID, "a word, or two with an @ between them"),
    "call-info": _LINKS,
    "contact": _Rule(rf"\*|{_ADDRESSES.pattern}", "a list of addresses, or *"),
    "content-disposition": _WORD_WITH_PARAMS,
    "content-encoding": _TAGS,
    "content-language": _TAGS,
    "content-length": _Rule(r"\d++", "a number"),
    "content-type": _Rule(MEDIA, "a media type"),
    "cseq": _Rule(rf"(\d++)[ \t]++{TOKEN}", "a number below 2^31 and a method", _METHOD_NUMBER),
    "date": _Rule(DATE, "a date like Sat, 13 Nov 2010 23:29:00 GMT"),
    "diversion": _ROUTES,
    "error-info": _LINKS,
    "event": _WORD_WITH_PARAMS,
    "expires": _SECONDS,
    "from": _ADDRESS_RULE,
    "history-info": _ROUTES,
    "in-reply-to": _Rule(listed(CALL_ID), "a list of Call-IDs"),
    "join": _Rule(f"{CALL_ID}{PARAMS}", "a Call-ID with tags"),
    "max-forwards": _Rule(r"(\d++)", "a number up to 255", 255),
    "mime-version": _Rule(r"\d++\.\d++", "a version"),
    "min-expires": _SECONDS,
    "min-se": _SECONDS_WITH_PARAMS,
    "p-asserted-identity": _Rule(listed(ADDRESS), "one or two addresses"),
    "p-preferred-identity": _Rule(listed(ADDRESS), "one or two addresses"),
    "path": _ROUTES,
    "priority": _Rule(TOKEN, "a word"),
    "privacy": _Rule(rf"{TOKEN}(?>(?:{W};{W}{TOKEN})*)", "words between semicolons"),
    "proxy-authenticate": _CREDENTIALS,
    "proxy-authorization": _CREDENTIALS,
    "proxy-require": _TAGS,
    "rack": _Rule(rf"\d++[ \t]++(\d++)[ \t]++{TOKEN}", "two numbers and a method", _METHOD_NUMBER),
    "reason": _Rule(listed(f"{TOKEN}{PARAMS}"), "a list of protocols with their causes"),
    "record-route": _ROUTES,
    "refer-to": _ADDRESS_RULE,
    "referred-by": _ADDRESS_RULE,
    "remote-party-id": _ROUTES,
    "replaces": _Rule(f"{CALL_ID}{PARAMS}", "a Call-ID with tags"),
    "reply-to": _ADDRESS_RULE,
    "require": _TAGS,
    "retry-after": _SECONDS._replace(pattern=rf"(\d++){W}(?:{COMMENT})?{PARAMS}"),
    "route": _ROUTES,
    "rseq": _Rule(r"(\d++)", "a number below 2^32", (1 << 32) - 1),
    "server": _PRODUCTS,
    "service-route": _ROUTES,
    "session-expires": _SECONDS_WITH_PARAMS,
    "subscription-state": _WORD_WITH_PARAMS,
    "supported": _TAGS_OR_NONE,
    "timestamp": _Rule(r"\d++(?:\.\d*+)?(?:[ \t]++\d*+(?:\.\d*+)?)?", "seconds, and perhaps a delay"),
    "to": _ADDRESS_RULE,
    "unsupported": _TAGS,
    "user-agent": _PRODUCTS,
    "via": _Rule(listed(VIA), "a list of hops"),
    "warning": _Rule(listed(rf"\d{{3}} (?:{HOSTPORT}(?= )|{TOKEN}) {QUOTED}"), "a list of code, agent and quoted text"),
    "www-authenticate": _CREDENTIALS,
}
_PARAMETERS: Final[dict[str, dict[str, _Rule]]] = {
    "contact": {
        "expires": _SECONDS,
        "q": _Rule(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", "between 0 and 1 with three decimals at most"),
    },
    "from": {}, "record-route": {}, "refer-to": {}, "route": {}, "to": {},
    "via": {
        "branch": _Rule(TOKEN, "a word"),
        "maddr": _Rule(HOST, "a host"),
        "rport": _Rule(PORT, "a port"),
        "ttl": _Rule(r"(\d++)", "a number up to 255", 255),
    },
}  # fmt: skip
"""Headers whose parameters are checked one by one, and the rules of the parameters with a form of their own."""
_TITLES: Final = {
    "call-id": "Call-ID", "cseq": "CSeq", "mime-version": "MIME-Version", "min-se": "Min-SE", "rack": "RAck",
    "remote-party-id": "Remote-Party-ID", "rseq": "RSeq", "www-authenticate": "WWW-Authenticate",
}  # fmt: skip
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PARAMETER: Final = re.compile(
    rf'{ANY_QUOTED}|<[^>]*+>|([,;])[ \t]*+({ANY_TOKEN}+)?(?:[ \t]*+=[ \t]*+([^\s",;<]++))?', re.ASCII
)
_SHOWN: Final = 60


def title(name: str) -> str:
    """Return a header's name in its usual spelling."""
    if len(name) > _SHOWN or not (name.isascii() and name.isprintable()):
        return shown(name)
    return _TITLES.get(name) or name.title()


def shown(value: str) -> str:
    """Return a value shortened and printable, for use in a sentence."""
    return ascii(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")


def header_fault(name: str, value: str) -> str | None:
    """Return a sentence on what a strict peer would refuse in a header's value, or None.

    ``name`` is canonical; for a header without rule only the characters are checked.
    """
    rule = _RULES.get(name)
    if rule is None:
        return None if is_text(value) else f"{title(name)} must be text without control characters, not {shown(value)}."
    match = _fit(rule, value)
    if match is None:
        return f"{title(name)} must be {rule.meaning}, not {shown(value)}."
    if name == "date" and not _is_in_calendar(match):
        return f"Date names a day that the calendar does not have: {shown(value)}."
    return _parameter_fault(name, value) if name in _PARAMETERS else None


def request_uri_fault(uri: str) -> str | None:
    """Return a sentence on what a strict peer would refuse in a Request-URI, or None."""
    if _compiled(REQUEST_URI).match(uri):
        return None
    return f"The Request-URI must be a URI without headers, not {shown(uri)}."


def is_text(value: str) -> bool:
    """Return whether a value is UTF-8 without control characters."""
    return (value.isascii() and value.isprintable()) or bool(_compiled(TEXT).match(value))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile on first use: most headers are never checked."""
    return re.compile(rf"(?:{pattern})\Z", re.ASCII | re.IGNORECASE)


def _fit(rule: _Rule, value: str) -> re.Match[str] | None:
    match = _compiled(rule.pattern).match(value)
    if match is None or rule.largest is None:
        return match
    digits = match[1].lstrip("0") or "0"
    return match if len(digits) <= len(str(rule.largest)) and int(digits) <= rule.largest else None


def _is_in_calendar(match: re.Match[str]) -> bool:
    weekday, day, month, year = match.group(1, 2, 3, 4)
    try:
        named = date(int(year), _MONTHS.index(month.title()) + 1, int(day))
    except ValueError:
        return False
    return _WEEKDAYS[named.weekday()] == weekday.title()


def _parameter_fault(header: str, value: str) -> str | None:
    """Check parameters one by one; within one element of a list each may occur once (section 7.3.1)."""
    rules = _PARAMETERS[header]
    names: set[str] = set()
    for match in _PARAMETER.finditer(value):  # one by one: the first fault ends it
        separator, written, said = match.groups()
        if separator == ",":
            names.clear()
        if separator != ";":
            continue
        if written is None:  # the patterns of Python before 3.11.5 let it through (CPython issue 106052)
            return f"{title(header)} has an empty parameter."
        name = written.lower()
        if name in names:
            return f"{title(header)} has the parameter {name} twice."
        names.add(name)
        rule = rules.get(name)
        if rule is not None and said and not _fit(rule, said):
            return f"The parameter {name} of {title(header)} must be {rule.meaning}, not {shown(said)}."
    return None
