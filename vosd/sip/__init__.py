"""SIP from datagram to dialog, without I/O (RFC 3261): bytes and time in, events and bytes out.

Refuses to know calls, routes and money, and what a body holds. Sockets, clocks and randomness are the
engine's: time and tokens are arguments.
"""

from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.parse import parse_message

__all__ = ["ParseError", "Request", "Response", "parse_message"]
