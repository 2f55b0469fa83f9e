"""Error of a message that cannot be parsed, with the status to answer, and the flaws that Warning and log name."""

from enum import StrEnum
from typing import TYPE_CHECKING

from vosd.base.errors import VosError

if TYPE_CHECKING:
    from vosd.sip.wire.message import Request, Response


class Flaw(StrEnum):
    """A flaw for which a message is refused or dropped."""

    ADDRESS_INCOMPLETE = "Address Incomplete"
    OWN_ERROR = "an error in the switch"
    BAD_ADDRESS = "Bad Address"
    BAD_CALL_ID = "Bad Call-ID"
    BAD_CONTENT_LENGTH = "Bad Content-Length"
    BAD_CSEQ = "Bad CSeq"
    BAD_MAX_FORWARDS = "Bad Max-Forwards"
    BAD_MIN_SE = "Bad Min-SE"
    BAD_MULTIPART_BODY = "Bad Multipart Body"
    BAD_PATH = "Bad Path"
    BAD_PORT_IN_URI = "Bad Port in URI"
    BAD_PORT_IN_VIA = "Bad Port in Via"
    BAD_RACK = "Bad RAck"
    BAD_REASON = "Bad Reason"
    BAD_REFER_TO = "Bad Refer-To"
    BAD_REFRESHER = "Bad Refresher"
    BAD_REPLACES = "Bad Replaces"
    BAD_REQUIRE = "Bad Require"
    BAD_SESSION_EXPIRES = "Bad Session-Expires"
    BAD_STATUS_LINE = "Bad Status Line"
    BAD_URI = "Bad URI"
    BAD_VIA = "Bad Via"
    BARE_CARRIAGE_RETURN = "Bare Carriage Return"
    BLANKS_AT_THE_END_OF_THE_REQUEST_LINE = "Blanks at the End of the Request Line"
    CALL_ID_TOO_LONG = "Call-ID Too Long"
    CONTACT_IS_NO_SIP_ADDRESS = "Contact Is No SIP Address"
    CONTACT_STAR_NEEDS_EXPIRES_0_AND_NOTHING_ELSE = "Contact * Needs Expires 0 and Nothing Else"
    CONTACT_WITHOUT_ANGLE_BRACKETS = "Contact Without Angle Brackets"
    CONTENT_LENGTH_LARGER_THAN_THE_MESSAGE = "Content-Length Larger Than the Message"
    CSEQ_METHOD_DIFFERS = "CSeq Method Differs"
    CSEQ_OUT_OF_RANGE = "CSeq Out of Range"
    EMPTY_DATAGRAM = "Empty Datagram"
    EMPTY_PARAMETER_IN_CONTACT = "Empty Parameter in Contact"
    EMPTY_PARAMETER_IN_VIA = "Empty Parameter in Via"
    HEADERS_IN_THE_REQUEST_URI = "Headers in the Request-URI"
    HEADERS_TOO_LONG = "Headers Too Long"
    HEADER_TOO_LONG = "Header Too Long"
    HISTORY_INFO_WITHOUT_INDEX = "History-Info without Index"
    MALFORMED_HEADER = "Malformed Header"
    MESSAGE_ENDS_INSIDE_THE_HEADERS = "Message Ends Inside the Headers"
    MESSAGE_TOO_LARGE = "Message Too Large"
    MISSING_CALL_ID = "Missing Call-Id"
    MISSING_CONTACT = "Missing Contact"
    MISSING_CSEQ = "Missing Cseq"
    MISSING_FROM = "Missing From"
    MISSING_FROM_TAG = "Missing From Tag"
    MISSING_TO = "Missing To"
    MISSING_VIA = "Missing Via"
    MORE_THAN_ONE_CALL_ID = "More Than One Call-Id"
    MORE_THAN_ONE_CONTENT_LENGTH = "More Than One Content-Length"
    MORE_THAN_ONE_CSEQ = "More Than One Cseq"
    MORE_THAN_ONE_FROM = "More Than One From"
    MORE_THAN_ONE_MAX_FORWARDS = "More Than One Max-Forwards"
    MORE_THAN_ONE_TO = "More Than One To"
    NOT_SIP = "Not SIP"
    PATH_TOO_LONG = "Path Too Long"
    SEVERAL_REPLACES = "Several Replaces"
    SEVERAL_SESSION_EXPIRES = "Several Session-Expires"
    TOO_MANY_HEADERS = "Too Many Headers"
    UNSUPPORTED_URI_SCHEME = "Unsupported URI Scheme"
    UNUSABLE_CONTACT = "Unusable Contact"
    UNUSABLE_INSTANCE = "Unusable Instance"
    VERSION_NOT_SUPPORTED = "Version Not Supported"

    @property
    def label(self) -> str:
        """The name under which dropped messages are counted in the log."""
        return self.value.lower()


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
