r"""The grammar of RFC 3261 section 25 for strict checks: words, addresses and their combinations.

Owns fragments of patterns; ``header_rules`` assigns them to headers. A value is one header line with its folded lines
joined, so blanks are ``[ \t]``; invalid UTF-8 appears as surrogates. Patterns are linear: they use possessive and
atomic groups except where two readings are possible. A repeated group of several parts is written ``(?>(?:...)*)``: in
Python before 3.11.5, which Debian 12 has, ``(?:...)*+`` keeps a partly matched repetition (CPython issue 106052).
"""

from typing import Final

from vosd.sip.wire.grammar import TOKEN as ANY_TOKEN

# -- words (section 25.1) ---------------------------------------------------------------------------------------------

W: Final = r"[ \t]*+"
TOKEN: Final = rf"{ANY_TOKEN}+"
NON_ASCII: Final = r"\u0080-\ud7ff\ue000-\U0010ffff"
TEXT: Final = rf"[\t -~{NON_ASCII}]*+"
QUOTED: Final = rf'"(?:[\t !#-\[\]-~{NON_ASCII}]|\\[\x00-\x09\x0b\x0c\x0e-\x7f])*+"'
WORD: Final = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]++"
CALL_ID: Final = rf"{WORD}(?:@{WORD})?"

LEAF_COMMENT: Final = rf"\((?:[\t !-'*-\[\]-~{NON_ASCII}]|\\[\x00-\x09\x0b\x0c\x0e-\x7f])*+\)"
COMMENT: Final = rf"\((?:[\t !-'*-\[\]-~{NON_ASCII}]|\\[\x00-\x09\x0b\x0c\x0e-\x7f]|{LEAF_COMMENT})*+\)"
PRODUCT: Final = rf"(?:{TOKEN}(?:{W}/{W}{TOKEN})?|{COMMENT})"

# -- addresses --------------------------------------------------------------------------------------------------------

H16: Final = r"[0-9A-Fa-f]{1,4}"
BYTE: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IPV4: Final = rf"{BYTE}(?:\.{BYTE}){{3}}(?![\w.\-])"
LS32: Final = rf"(?:{H16}:{H16}|{IPV4})"
IPV6: Final = "(?:" + "|".join((
    rf"(?:{H16}:){{6}}{LS32}",
    rf"::(?:{H16}:){{5}}{LS32}",
    *(rf"(?:(?:{H16}:){{0,{left}}}{H16})?::(?:{H16}:){{{4 - left}}}{LS32}" for left in range(5)),
    rf"(?:(?:{H16}:){{0,5}}{H16})?::{H16}",
    rf"(?:(?:{H16}:){{0,6}}{H16})?::",
)) + ")"  # fmt: skip
"""As corrected by RFC 5954: the production of RFC 3261 admits a third colon (RFC 5118 section 4.10)."""
NAME: Final = r"(?>(?:(?!-)[A-Za-z0-9\-]++(?<!-)\.(?=[A-Za-z0-9]))*)[A-Za-z][A-Za-z0-9\-]*+(?<!-)\.?"
HOST: Final = rf"(?:{IPV4}|\[{IPV6}\]|{NAME})"
PORT: Final = r"0*+(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})(?!\d)"
HOSTPORT: Final = rf"{HOST}(?::{PORT})?"

ESCAPED: Final = r"%[0-9A-Fa-f]{2}"
PASSWORD: Final = rf"(?::(?:[\w\-.!~*'()&=+$,]|{ESCAPED})*+)?"
USER: Final = rf"(?:[\w\-.!~*'()&=+$,;?/]|{ESCAPED})++{PASSWORD}@"
BARE_USER: Final = rf"(?:[\w\-.!~*'()&=+$/]|{ESCAPED})++@"
URI_PARAM: Final = rf"(?:[\w\-.!~*'()\[\]/:&+$]|{ESCAPED})++"
URI_PARAMS: Final = rf"(?>(?:;{URI_PARAM}(?:={URI_PARAM})?)*)"
URI_HEADER: Final = rf"(?:[\w\-.!~*'()\[\]/?:+$]|{ESCAPED})"
URI_HEADERS: Final = rf"(?:\?{URI_HEADER}++={URI_HEADER}*+(?>(?:&{URI_HEADER}++={URI_HEADER}*+)*))?"
TEL: Final = rf"tel:(?:\+?[0-9A-Fa-f*#.()\-]++|{ESCAPED})++"
OTHER_SCHEME: Final = r"(?!sips?:|tel:)[A-Za-z][A-Za-z0-9+.\-]*+:"
ABSOLUTE: Final = rf"{OTHER_SCHEME}(?:[\w\-.!~*'();/?:@&=+$,]|{ESCAPED})++"
BARE_ABSOLUTE: Final = rf"{OTHER_SCHEME}(?:[\w\-.!~*'()/:@&=+$]|{ESCAPED})++"

REQUEST_URI: Final = rf"(?:sips?:(?:{USER})?{HOSTPORT}{URI_PARAMS}|{TEL}{URI_PARAMS}|{ABSOLUTE})"
URI: Final = rf"(?:sips?:(?:{USER})?{HOSTPORT}{URI_PARAMS}{URI_HEADERS}|{TEL}{URI_PARAMS}|{ABSOLUTE})"
BARE_URI: Final = rf"(?:sips?:(?:{BARE_USER})?{HOSTPORT}|{TEL}|{BARE_ABSOLUTE})"
"""Without comma, question mark and semicolon: those require angle brackets around the URI (section 20)."""

# -- combinations -----------------------------------------------------------------------------------------------------

NAMED_VALUE: Final = rf"{TOKEN}(?:{W}={W}(?:{QUOTED}|\[{IPV6}\]|{TOKEN}))?"
PARAMS: Final = rf"(?>(?:{W};{W}{NAMED_VALUE})*)"
NAME_ADDR: Final = rf"(?:{QUOTED}{W}|(?>(?:{TOKEN}{W})*))<{URI}>"
ADDRESS: Final = rf"(?:{NAME_ADDR}|{BARE_URI})"
RECEIVED: Final = rf"received{W}={W}(?:{IPV4}|\[{IPV6}\]|{IPV6})"
"""With or without brackets: RFC 5118 section 4.5."""
VIA: Final = rf"SIP{W}/{W}2\.0{W}/{W}{TOKEN}[ \t]++{HOST}(?:{W}:{W}{PORT})?(?>(?:{W};{W}(?:{RECEIVED}|{NAMED_VALUE}))*)"
MEDIA: Final = rf"{TOKEN}{W}/{W}{TOKEN}{PARAMS}"
AUTH_PARAM: Final = rf"{TOKEN}{W}={W}(?:{QUOTED}|{TOKEN})"
DATE: Final = (
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) "
    r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60) GMT"
)


def listed(element: str) -> str:
    """Return the pattern of a comma list with at least one element."""
    return rf"{element}(?>(?:{W},{W}{element})*)"


def listed_or_none(element: str) -> str:
    """Return the pattern of a comma list that may be empty."""
    return f"(?:{listed(element)})?"
