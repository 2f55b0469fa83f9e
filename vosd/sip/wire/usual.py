r"""The usual form of a message's head: what nearly all peers send, read by one pattern.

A head that matches has no fault that the general parser (``parse.read_by_rules``) looks for, and none for which
``sip.screening`` refuses a request by its grammar. Anything written otherwise, rightly or wrongly, does not match: the
general parser judges it.

The patterns are linear: each line is matched by one atomic alternative, which its first characters select.
"""

import re
from typing import Final

from vosd.sip.wire.grammar import HOST, PORT, TOKEN

_URI: Final = rf"sips?:(?:[A-Za-z0-9_+*#.\-]++@)?(?:{HOST})(?::{PORT})?(?:;[!->A-~]*+)?"
"""Without headers, which no Request-URI may have, and so without a question mark."""
_WORD: Final = rf"{TOKEN}+"
_PARAMS: Final = r"(?>(?:;(?!branch|tag)[a-z][a-z0-9\-]*+(?:=[A-Za-z0-9_.!%*+`'~:\-]++)?)*)"
"""Parameters other than those that are captured."""
_ADDRESS: Final = r"""
    (?:(?: "[^"\\\x00-\x1f\x7f]*+"[ ]? | [A-Za-z0-9][A-Za-z0-9_.+\- ]*+ )?<[!#-;=?-~]++> | [!#-+\--:=?-~]++ )
"""
"""An address in angle brackets, or a bare one, which ends before the first semicolon."""
_OTHER: Final = r"""
    (?: [ABDEGH-LN-SUW-Zabdegh-ln-suw-z][A-Za-z0-9_\-]++ | Contact | Content-Type
      | (?!(?i:call-id|content-length|cseq|from|max-forwards|to|via):)[A-Za-z][A-Za-z0-9_\-]++
    ):[ ](?:[!-~][ -\U0010ffff]*+(?<=[!-~]))?
"""
"""Any other header, with one blank before its value and none behind it.

Its name has two letters or more and is no other spelling of one that is read here. A value with a control character is
left to the rules.
"""
_GROUP: Final = re.compile(r"\(\?P<(\w+)>")


def _head(start_line: str, via: str) -> re.Pattern[str]:
    """Compile the pattern of a whole head; ``via`` is that of the first Via, which captures ``branch``.

    The other headers with a name here may occur only once. All groups are named. Content-Length may have more than one
    blank before its value: pjsip, osip and SIPp pad it, because they write it when the body is complete.
    """
    pattern = rf"""
    {start_line}\r\n(?>(?:(?>
        Via:[ ](?(branch) [^\r\n]*+ | {via} )
      | From:[ ](?(from_tag) (?!) | {_ADDRESS}(?:;tag=|{_PARAMS};tag=)(?P<from_tag> {_WORD} ){_PARAMS} )
      | To:[ ](?(to) (?!) | (?P<to> {_ADDRESS} )(?:(?:;tag=|{_PARAMS};tag=)(?P<to_tag> {_WORD} ){_PARAMS} | {_PARAMS}) )
      | Call-ID:[ ](?(call_id) (?!) | (?P<call_id> [!-~]++ ))
      | CSeq:[ ](?(sequence) (?!) | (?P<sequence> \d{{1,9}} )[ ](?P<method_counted> [A-Z]++ ))
      | Content-Length:[ ]++(?(length) (?!) | (?P<length> \d{{1,9}} ))
      | Max-Forwards:[ ](?(hops) (?!) | (?P<hops> \d{{1,3}} ))
      | {_OTHER}
    )\r\n)*)\Z"""
    # Python accepts a condition on a group further behind by its number only.
    for number, name in enumerate(_GROUP.findall(pattern), start=1):
        pattern = pattern.replace(f"(?({name})", f"(?({number})")
    return re.compile(pattern, re.ASCII | re.VERBOSE)


USUAL_REQUEST: Final = _head(
    rf"(?P<method> [A-Z]++ )[ ](?P<uri> {_URI} )[ ]SIP/2\.0",
    rf"""(?P<via> SIP/2\.0/(?P<transport> UDP|TCP|TLS|WSS? )[ ](?P<host> {HOST} )(?::(?P<port> {PORT} ))?
         (?P<before> {_PARAMS} );branch=(?P<branch> z9hG4bK{_WORD} )(?P<behind> {_PARAMS} ))""",
)
USUAL_RESPONSE: Final = _head(
    r"SIP/2\.0[ ](?P<status> [1-6]\d\d )(?:[ ](?P<reason> [^\r\n]*+ ))?",
    rf"SIP/2\.0/[A-Z]++[ ][A-Za-z0-9_.\[\]:\-]++ {_PARAMS};branch=(?P<branch> {_WORD} ){_PARAMS}",
)
