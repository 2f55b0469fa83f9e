"""Session descriptions of a party that withholds who it is (RFC 3323 sections 4.1 and 5.3)."""

import re
from typing import Final

from vosd.sdp.rewrite import Authored

_NAMING: Final = re.compile(rb"^(?:(o=)\S+(?= )|(s=)[^\r\n]*|[iuep]=[^\r\n]*\r*(?:\n|\Z))", re.MULTILINE)


def anonymous(session: bytes) -> bytes:
    """Return a description without what its author writes about itself, byte for byte the same otherwise.

    That is the user name of ``o=``, the name of the session, and all lines of ``i=``, ``u=``, ``e=`` and ``p=``. Number
    and version of ``o=`` stay, by which the other side knows a description from the next one (RFC 3264 section 8), and
    so does its address, which is that of the media. What is no session description is not changed.
    """
    if not session.startswith(b"v="):
        return session
    bare = _NAMING.sub(_unnamed, session)
    return session.changed(bare) if isinstance(session, Authored) else bare


def _unnamed(line: re.Match[bytes]) -> bytes:
    kind: bytes = line[1] or line[2] or b""
    return kind and kind + b"-"
