"""SIP from datagrams to dialogs, without I/O (RFC 3261): bytes and time in, events and bytes out.

Calls, routes, money and the content of bodies are handled elsewhere. Sockets, clocks and randomness belong to the
engine: time and tokens are arguments.
"""

from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.parse import parse_message

__all__ = ["ParseError", "Request", "Response", "parse_message"]
