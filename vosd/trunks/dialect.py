"""The dialect of one trunk: the settings in which peers differ.

One struct for a customer's trunk and one for a vendor's; the modules that read and write messages apply them.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum, StrEnum
from functools import cached_property
from typing import Annotated, Final, NamedTuple

import msgspec

from vosd.base.nat import Nat
from vosd.base.session_timer import SessionTimerSettings
from vosd.trunks.announcements import Announcements
from vosd.trunks.causes import TrunkCauses
from vosd.trunks.header_rules import SentAs, SessionIdUse, TrunkHeaders
from vosd.trunks.keys import switch, word
from vosd.trunks.number_format import NumberFormat
from vosd.trunks.stir import VendorSignatures


class CalleeSource(Enum):
    """The part of an INVITE that holds the called number."""

    REQUEST_URI = "request-uri"
    TO = "to"


class CallerSource(StrEnum):
    """The header of an INVITE that holds the calling number; the value is its lower-case name."""

    ASSERTED = "p-asserted-identity"
    PREFERRED = "p-preferred-identity"
    REMOTE_PARTY = "remote-party-id"
    DIVERSION = "diversion"
    FROM = "from"


class Reliability(Enum):
    """Reliable provisional responses (RFC 3262) on a trunk."""

    OFF = "off"
    SUPPORTED = "supported"
    REQUIRED = "required"


class ReasonForm(Enum):
    """The Reason headers that a trunk is sent (RFC 3326, RFC 6432)."""

    Q850 = "q850"
    SIP = "sip"
    BOTH = "both"
    NONE = "none"


class Transfers(Enum):
    """The answer to a REFER of the trunk."""

    ACCEPT = "accept"
    REFUSE = "refuse"


class Redirects(Enum):
    """The meaning of a 3xx of the trunk."""

    REFUSE = "refuse"
    FOLLOW = "follow"


class IdentityHeader(Enum):
    """The header that carries the calling number to a vendor; the value is its lower-case name."""

    FROM = "from"
    ASSERTED = "p-asserted-identity"
    REMOTE_PARTY = "remote-party-id"


class Privacy(Enum):
    """The treatment of a caller's request for privacy (RFC 3323)."""

    HONOUR = "honour"
    PASS = "pass"  # noqa: S105 - what is done, no secret
    ANONYMISE = "anonymise"
    STRIP = "strip"


class CallerPrivacy(IntEnum):
    """The privacy that a caller asks for, as far as vendors are sent its number or not."""

    SHOWN = 0
    WITHHELD = 1
    """From has the number, and another header asks to withhold it."""
    ANONYMOUS = 2
    """From is anonymous: the number is in other headers alone."""

    @classmethod
    def of_word(cls, word: str | None) -> "CallerPrivacy":
        """Return the member of a word of records."""
        return cls(PRIVACY_WORDS.index(word))


PRIVACY_WORDS: Final = (None, "withheld", "anonymous")
"""Words of records for ``CallerPrivacy``, in its order."""


class Passing(Enum):
    """Whether a header of the caller is passed on to the vendor."""

    PASS = "pass"  # noqa: S105 - what is done, no secret
    STRIP = "strip"


class Ringing(Enum):
    """The provisional responses that a customer is sent while the callee rings."""

    AS_IS = "as_is"
    RINGING = "180"
    BY_MEDIA = "by_media"


class PortedNumber(Enum):
    """The form in which a vendor is sent a ported number."""

    DIALLED = "dialled"
    ROUTING = "routing"
    PARAMETERS = "parameters"


BOUND_TO_THEIR_REQUEST: Final = frozenset({401, 407, 487})
"""Codes that a customer is sent as they are: a challenge needs its nonce, and 487 answers a CANCEL."""


class TransferDisplay(Enum):
    """The number that the target of a transfer is shown; the value is that of the configuration."""

    CALLER = "caller"
    """That of the transferred call."""
    PHONE = "phone"
    """That of the phone that transfers."""
    NUMBER = "number"
    """A fixed one."""


class TransferKeys(NamedTuple):
    """Sequences of keys that transfer a call, empty = none; none is the end of another."""

    blind: str = ""
    """Begins a blind transfer; the number follows."""
    attended: str = ""
    """Begins an attended one: the phone talks to the target before it leaves."""
    cancel: str = ""
    end: str = ""
    """Ends the phone's part while the target is called."""


LOCATION: Final = "application/pidf+xml"
"""Body with the place of a caller, and its number or address (RFC 4119)."""
KEYS_MAX: Final = 4
"""Keys of one sequence."""


_SESSION_ID: Final = (
    "Session-ID (RFC 7989) in the messages that it is sent: none, that of the other side where it has one (`pass`), or "
    "one that is made for a side that has none (`make`)."
)


class TrunkDialect(msgspec.Struct, frozen=True, dict=True):
    """A trunk, as far as customers' and vendors' speak alike."""

    reliability: Reliability = Reliability.SUPPORTED
    reasons: ReasonForm = ReasonForm.Q850
    session_timer: SessionTimerSettings = SessionTimerSettings()
    contact_user: str = ""
    """User part of our Contact."""
    contact_host: str = ""
    """Host of our Contact, with a port or without; empty = the address of our socket."""
    user_agent: str = ""
    """Our product in User-Agent and Server; empty = that of the installation."""
    headers: TrunkHeaders | None = None
    bodies: frozenset[str] = frozenset()
    """Types of bodies of the other side that it is sent beside the session description."""
    session_id: Annotated[SessionIdUse, word(_SESSION_ID)] = SessionIdUse.OFF
    causes: TrunkCauses | None = None
    """The causes of Q.850 that it uses; None = those of the standard."""

    @property
    def shows_connected(self) -> bool:
        """Whether it is shown the number of the other side (``SentAs``)."""
        return False

    @cached_property
    def sent_as(self) -> SentAs | None:
        """Name and headers by which it knows the switch; None = the usual ones."""
        sent = SentAs(
            self.contact_user,
            self.contact_host,
            self.user_agent,
            self.headers,
            self.bodies,
            self.session_id,
            self.causes,
            self.shows_connected,
        )
        return None if sent == _USUAL else sent


class CallerDialect(TrunkDialect, frozen=True, dict=True):
    """A customer's trunk."""

    callee_from: Annotated[CalleeSource, word("Where its INVITEs have the called number.")] = CalleeSource.REQUEST_URI
    caller_from: tuple[CallerSource, ...] = (CallerSource.ASSERTED, CallerSource.FROM)
    """In order; the first that is present counts."""
    reject_codes: Mapping[str, int] = {}
    """By code or class (``486``, ``5xx``), what is sent instead."""
    transfers: Transfers = Transfers.ACCEPT
    transfer_timeout_ms: int = 30_000
    """Time for which the target of a transfer may ring, and which dialling it by keys may take."""
    transfer_display: TransferDisplay = TransferDisplay.CALLER
    """The calling number that the target of a transfer is shown."""
    transfer_number: str = ""
    """The number for ``TransferDisplay.NUMBER``."""
    transfer_keys: TransferKeys | None = None
    """The keys that the user presses to transfer; None = keys transfer nothing."""
    nat: Nat = Nat.AUTO
    ringing: Annotated[
        Ringing,
        word(
            "Provisional responses that it is sent while the callee rings: those of the vendor, always 180, or 183 "
            "with early media and 180 without (`by_media`)."
        ),
    ] = Ringing.AS_IS
    early_media: Annotated[
        Passing,
        word(
            "Whether a session description before the answer is sent to it; `strip`: it plays its own ringing tone, "
            "and gets the description with the answer. Callers that offer none get it always."
        ),
    ] = Passing.PASS

    announcements: Announcements = {}
    """Sounds that are played to its callers before their calls are refused, besides those of the installation."""
    end_warning_ms: int = 0
    """Time before the end of a call for want of credit at which its caller is warned by a tone; 0 = it is not."""
    connected_identity: Annotated[
        Passing,
        word(
            "Whether it is sent the callee's number of P-Asserted-Identity (RFC 4916): with the answer, and by UPDATE "
            "or re-INVITE when it changes."
        ),
    ] = Passing.STRIP

    @cached_property
    def changes_ringing(self) -> bool:
        """Whether provisional responses are sent to it otherwise than the vendor sends them."""
        return self.ringing is not Ringing.AS_IS or self.early_media is Passing.STRIP

    def rung(self, status: int, session: bytes) -> tuple[int, bytes]:
        """Return status and session of a provisional response as this customer is sent it; it has made an offer."""
        session = b"" if self.early_media is Passing.STRIP else session
        if self.ringing is Ringing.RINGING:
            return 180, session
        if self.ringing is Ringing.BY_MEDIA:
            return 183 if session else 180, session
        return status, session

    @property
    def shows_connected(self) -> bool:
        """Whether ``connected_identity`` is passed."""
        return self.connected_identity is Passing.PASS

    def sent_for(self, code: int) -> int:
        """Return the final code that this customer is sent in place of ``code``."""
        return code if code in BOUND_TO_THEIR_REQUEST else _replaced(code, self.reject_codes)


class CalleeDialect(TrunkDialect, frozen=True, dict=True):
    """A vendor's trunk."""

    identity: tuple[IdentityHeader, ...] = ()
    """Besides From."""
    privacy: Annotated[
        Privacy,
        word(
            "A caller's request for privacy: fulfilled here, passed on, assumed for every call, or ignored (`strip`)."
        ),
    ] = Privacy.HONOUR
    display_name: Annotated[Passing, word("Whether the caller's display name is sent.")] = Passing.STRIP
    diversion: Annotated[Passing, word("Whether Diversion headers are sent.")] = Passing.STRIP
    history_info: Annotated[Passing, word("Whether History-Info headers are sent.")] = Passing.STRIP
    convert_diversions: Annotated[
        bool,
        switch(
            "`yes`: of a caller that sent one of Diversion and History-Info the other one is made (RFC 7544); "
            "`diversion` and `history_info` say which of them are sent."
        ),
    ] = False
    ported_number: Annotated[
        PortedNumber,
        word(
            "What it is sent for a ported number: the dialled number alone, the routing number in its place, or the "
            "dialled number with `rn` and `npdi` (RFC 4694)."
        ),
    ] = PortedNumber.DIALLED
    reject_codes: Mapping[str, int] = {}
    """By code or class (``486``, ``5xx``), what it counts as."""
    redirects: Annotated[Redirects, word("Whether its 3xx are followed.")] = Redirects.REFUSE
    interface: str | None = None
    """The socket of ``sip.listen`` that its packets leave from, as ``transport:host:port``; None = the first fit."""
    nat: Nat = Nat.NO
    request_host: str = ""
    """Host of the Request-URI, with a port or without; empty = that of the address."""
    from_host: str = ""
    to_host: str = ""
    route: tuple[str, ...] = ()
    """Route values of requests outside dialogs, the outbound proxy first."""
    is_strict: bool = False
    """Whether the first Route is a strict router (RFC 3261 section 12.2.1.1): it stands in the request line."""
    number_format: NumberFormat | None = None
    """The form of numbers in each header; None = as they are routed."""
    stir: VendorSignatures | None = None
    """Signatures of the calls that it is sent; None = those of the callers, where nothing signed has changed."""
    messages: Annotated[
        bool, switch("`yes`: it is sent MESSAGE requests (RFC 3428) for the numbers that its prefixes fit.")
    ] = False
    is_trusted: bool = True
    """Whether it may keep withheld numbers to itself (RFC 3325 section 5): ``identity`` is for those, too."""

    @cached_property
    def is_sent_withheld(self) -> bool:
        """Whether it is sent the numbers of callers that withhold them."""
        return self.is_trusted and (bool(self.identity) or self.privacy in {Privacy.PASS, Privacy.STRIP})

    @cached_property
    def shows_number(self) -> tuple[bool, bool, bool]:
        """Whether it is sent the numbers of callers at all, by their ``CallerPrivacy``.

        It bills callers whose number it is not sent as such without one. An anonymous From is passed on as it is, so
        with ``Privacy.PASS`` the number needs a header of ``identity`` then.
        """
        is_sent = self.is_sent_withheld
        is_sent_beside = is_sent and (bool(self.identity) or self.privacy is Privacy.STRIP)
        return is_sent or self.privacy is not Privacy.ANONYMISE, is_sent, is_sent_beside

    def bodies_of(self, caller: CallerPrivacy) -> frozenset[str]:
        """Return the types of bodies of a caller that it is sent: of one whose number it is not sent, no location.

        ISUP says itself what of it may be shown, and is for exchanges alone.
        """
        return self.bodies if self.shows_number[caller] else self.bodies - {LOCATION}

    @cached_property
    def is_usual(self) -> bool:
        """Whether its requests outside dialogs are addressed as usual."""
        return not (self.request_host or self.from_host or self.to_host or self.route or self.number_format)

    def routed(self, uri: str, path: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
        """Return the request line's URI and the Route values of a request for a URI; ``path`` follows the routes.

        A strict router stands in the request line, and the URI ends the Route (RFC 3261 section 12.2.1.1).
        """
        route = (*self.route, *path)
        if not self.is_strict:
            return uri, route
        return route[0].strip("<>"), (*route[1:], f"<{uri}>")

    def counted_as(self, code: int) -> int:
        """Return the final code that ``code`` of this vendor counts as, before anything is decided by it."""
        return _replaced(code, self.reject_codes)


_USUAL: Final = SentAs()


def _replaced(code: int, codes: Mapping[str, int]) -> int:
    """Return the replacement of a code: its own entry, else that of its class, else itself."""
    if not codes:
        return code
    return codes.get(str(code)) or codes.get(f"{code // 100}xx", code)
