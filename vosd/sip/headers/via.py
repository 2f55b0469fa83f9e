"""Via (RFC 3261 section 20.42): where a request came from and where its response goes."""

import re
from typing import Final

import msgspec

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import HOST, QUOTED, TOKEN, parameters

_VIA: Final = re.compile(
    rf"SIP\s*+/\s*+\d+\.\d+\s*+/\s*+({TOKEN})\s++({HOST})\s*+(?::\s*+(\d{{1,5}})\s*+)?"
    rf"((?:;(?>(?:{QUOTED}|[^\",])*))?)(,|\Z)",
    re.IGNORECASE | re.ASCII,
)
"""Any SIP version, because a request of another version is answered with 505."""
_PLAIN: Final = re.compile(
    r"SIP/2\.0/(UDP|TCP|TLS|WSS?) ([A-Za-z0-9.\-]+)(?::(\d{1,5}))?(;rport)?;branch=([\w.\-]+)(;rport)?\Z", re.ASCII
)
"""Form of nearly every Via from a single hop."""
_SENT_BY: Final = re.compile(
    rf"SIP\s*+/\s*+\d+\.\d+\s*+/\s*+{TOKEN}\s++({HOST})\s*+(?::\s*+(\d{{1,5}}))?", re.IGNORECASE | re.ASCII
)
_PLAIN_BRANCH: Final = re.compile(r"[^,]*?;branch=([^\s;,]+)")
_BRANCH: Final = re.compile(r";\s*branch\s*=\s*([^\s;,]+)", re.IGNORECASE)


class Via(msgspec.Struct, frozen=True, gc=False):
    """The topmost Via of a message."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str | None]
    length: int
    """Length of this element in the header value; others may follow after a comma."""

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Parse the first element of a Via header value."""
        found: dict[str, str | None]
        match = _PLAIN.match(text)
        if match:
            transport, host, port, before, branch, behind = match.groups()
            found = {"branch": branch, "rport": None} if before or behind else {"branch": branch}
            length = len(text)
        else:
            match = _VIA.match(text)
            if not match:
                raise ParseError(400, Flaw.BAD_VIA)
            transport, host, port, params, _ = match.groups()
            found, length = parameters(params), match.end(4)
        number = int(port) if port else None
        if number is not None and not 0 < number < 65_536:
            raise ParseError(400, Flaw.BAD_PORT_IN_VIA)
        return cls(transport.upper(), host, number, found, length)

    @property
    def branch(self) -> str:
        """The branch; empty for a peer older than RFC 3261."""
        return self.params.get("branch") or ""


def sender_of(text: str) -> tuple[str, int | None, str] | None:
    """Return host, port and branch of the first element of a Via value without parsing the rest.

    None = it has no host or branch, or its port cannot be one. A quoted parameter before the branch may hide it.
    """
    match, branch = _SENT_BY.match(text), branch_of(text)
    if match is None or not branch:
        return None
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65_536:
        return None
    return match[1], port, branch


def branch_of(text: str) -> str:
    """Return the branch of the first element of a Via value without parsing the rest (for responses)."""
    match = _PLAIN_BRANCH.match(text) or _BRANCH.search(text.partition(",")[0])
    return match[1] if match else ""
