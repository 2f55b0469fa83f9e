"""Error of a message that cannot be parsed, with the status to answer."""

from typing import TYPE_CHECKING

from vosd.base.errors import VosError
from vosd.sip.wire.flaws import Flaw

if TYPE_CHECKING:
    from vosd.sip.wire.message import Request, Response


class ParseError(VosError):
    """The bytes are not a usable SIP message.

    ``status`` is the response a request deserves, 0 where none may be sent: not SIP, a response, or too broken to find
    the sender. ``request`` holds what could be read of a request, enough to answer it; ``response`` the same of a
    response.
    """

    def __init__(
        self, status: int, reason: Flaw, request: "Request | None" = None, response: "Response | None" = None
    ) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status = status
        self.reason = reason
        self.request = request
        self.response = response
        self.user = ""
        """User who had authenticated when the error was found."""
