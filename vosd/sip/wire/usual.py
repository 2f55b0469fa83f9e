r"""The usual form of a message's head: what nearly all peers send, read by one pattern.

A head that matches has no fault that the general parser (``parse.read_by_rules``) looks for, and none for which
``sip.screening`` refuses a request by its grammar. Anything written otherwise, rightly or wrongly, does not match: the
general parser judges it.

The patterns are linear: each line is matched by one atomic alternative, which its first characters select.
"""

import re
from typing import Final

from vosd.sip.wire.grammar import HOST, PORT

_URI: Final = rf"sips?:(?:[\w+*#.\-]++@)?(?:{HOST})(?::{PORT})?(?:;[!->A-~]*+)?"
"""Without headers, which no Request-URI may have, and so without a question mark."""
_PARAMS: Final = r"(?>(?:;(?!branch)[a-z]++(?:=[\w.:\-]++)?)*)"
_ADDRESS: Final = r'(?:"[^"\\\x00-\x1f\x7f]*+"[ ]?|[A-Za-z0-9][\w.+\- ]*+)?<[!#-;=?-~]++>'
_OTHER: Final = r"""
    (?:[ABDEGHIJKLNOPQRSUWXYZ][A-Za-z0-9\-]++ | Contact | Content-(?:Type|Disposition) | Min-SE | Timestamp | Call-Info)
    :[ ][!-~][^\r\n]*+(?<=[!-~])
"""
"""Any other header, with one blank before its value and none behind it.

No name here is another spelling of a header that may occur only once.
"""
_LINES: Final = rf"""
    (?>(?:(?>
        Via:[ ](?(branch) [^\r\n]*+ | %s)
      | From:[ ](?(from_tag) (?!) | {_ADDRESS};tag=(?P<from_tag> [\w.\-]++ ){_PARAMS} )
      | To:[ ](?(to) (?!) | (?P<to> {_ADDRESS} )(?:;tag=(?P<to_tag> [\w.\-]++ ){_PARAMS})? )
      | Call-ID:[ ](?(call_id) (?!) | (?P<call_id> [!-~]++ ))
      | CSeq:[ ](?(sequence) (?!) | (?P<sequence> \d{{1,9}} )[ ](?P<method_counted> [A-Z]++ ))
      | Content-Length:[ ](?(length) (?!) | (?P<length> \d{{1,9}} ))
      | Max-Forwards:[ ](?(hops) (?!) | (?P<hops> \d{{1,3}} ))
      | {_OTHER}
    )\r\n)*)\Z
"""
"""Lines of the headers. Of several Vias the first is read; the other headers with a name here may occur only once."""
_REQUEST: Final = (
    rf"""
    (?P<method> [A-Z]++ )[ ](?P<uri> {_URI} )[ ]SIP/2\.0\r\n
"""
    + _LINES
    % rf"""
    (?P<via> SIP/2\.0/(?P<transport> UDP|TCP|TLS )[ ](?P<host> {HOST} )(?::(?P<port> {PORT} ))?
    (?P<before> {_PARAMS} );branch=(?P<branch> z9hG4bK[\w.\-]++ )(?P<behind> {_PARAMS} ))
"""
)
_RESPONSE: Final = (
    r"""
    SIP/2\.0[ ](?P<status> [1-6]\d\d )(?:[ ](?P<reason> [^\r\n]*+ ))?\r\n
"""
    + _LINES
    % rf"""
    SIP/2\.0/[A-Z]++[ ][\w.\[\]:\-]++ {_PARAMS};branch=(?P<branch> [\w.\-]++ ){_PARAMS}
"""
)
_GROUP: Final = re.compile(r"\(\?P<(\w+)>")


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern whose groups are all named; ``re`` accepts a condition on a later group by number only."""
    for number, name in enumerate(_GROUP.findall(pattern), start=1):
        pattern = pattern.replace(f"(?({name})", f"(?({number})")
    return re.compile(pattern, re.ASCII | re.VERBOSE)


USUAL_REQUEST: Final = _compiled(_REQUEST)
USUAL_RESPONSE: Final = _compiled(_RESPONSE)
