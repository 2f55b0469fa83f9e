"""What a peer's bytes can do wrong, with the answer to give."""

from typing import TYPE_CHECKING

from vosd.base.errors import VosError

if TYPE_CHECKING:
    from vosd.sip.wire.message import Request, Response


class ParseError(VosError):
    """Bytes that are not a SIP message that can be worked with.

    ``status`` is the response a request deserves, 0 where nothing may be answered: not SIP, a response, or
    too broken to say whom to answer. ``request`` is what could be read of a request, enough to answer it;
    ``response`` what could be read of a response.
    """

    def __init__(
        self, status: int, reason: str, request: "Request | None" = None, response: "Response | None" = None
    ) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status = status
        self.reason = reason
        self.request = request
        self.response = response
