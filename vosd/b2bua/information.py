"""Forward INFO between the legs: keys pressed, and little else (RFC 6086 legacy use)."""

from collections import deque
from typing import TYPE_CHECKING, Final

from vosd.b2bua.outgoing.headers import of_information, retry_later
from vosd.b2bua.outgoing.ruled import types_sent
from vosd.b2bua.renegotiation import status_for_origin
from vosd.base.clock import Instant
from vosd.media.keys import FLASH
from vosd.sip.events import NoResponse, RequestArrived, ResponseArrived
from vosd.sip.screening import ACCEPT_ENCODING
from vosd.sip.transaction.server import Server
from vosd.sip.wire.body import is_encoded, media_type, passed_parts, unknown_types
from vosd.sip.wire.message import Request
from vosd.sip.wire.multipart import composed

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg

PASSED_ON: Final = frozenset({"application/dtmf-relay", "application/dtmf", "application/media_control+xml"})
"""Body types that are always forwarded; others may disclose data of one network to the other, and need a rule."""
KEY_TYPE: Final = "application/dtmf-relay"
_FLASH_NUMBER: Final = 16
"""The event of RFC 4733, as telephones write a flash."""
KEYS_WAITING: Final = 32
"""Most keys that wait for a leg that is sent them as INFO."""
IN_FLIGHT_MAX: Final = 8
"""Most INFOs of one side that wait for an answer: keys are not pressed faster (RFC 6086 section 4.2.3)."""


class Information:
    """One forwarded INFO."""

    __slots__ = ("far", "has_key", "origin", "server")

    def __init__(self, origin: "Leg", far: "Leg", server: Server, *, has_key: bool) -> None:
        self.origin = origin
        self.far = far
        self.server = server
        self.has_key = has_key
        origin.informing += 1

    @property
    def call(self) -> "CallPort":
        """The call that is ended after an error here."""
        return self.far.call

    def response_came(self, event: ResponseArrived) -> None:
        """Forward the other side's status."""
        status = event.response.status
        if status < 200:
            return
        self.far.note_response(event.response, event.at)
        self._respond(200 if status < 300 else status_for_origin(status), event.at)
        if status == 481 and not self.call.endpoint.dialogs.is_asked_elsewhere(self.far.dialog, event.transaction.peer):
            self.far.call.lost(self.far, status, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Answer 504, and let the call go on: old peers do not support INFO."""
        self._respond(504, event.at)

    def _respond(self, status: int, now: Instant) -> None:
        self.origin.informing -= 1
        self.origin.respond(self.server, status, now)
        if self.has_key and self.origin.keypad is not None:
            self.origin.keypad.answered(now)


class KeyMessages:
    """Keys for one leg, each an INFO of its own, one after the other: they arrive in order (``ClientOwner``)."""

    __slots__ = ("_far", "_waiting", "is_asking")

    def __init__(self, far: "Leg") -> None:
        self._far = far
        self._waiting: deque[tuple[str, int]] = deque()
        self.is_asking = False
        """Whether the answer to an INFO is awaited."""

    @property
    def call(self) -> "CallPort":
        """The call that is ended after an error here."""
        return self._far.call

    def send(self, key: str, duration_ms: int, now: Instant) -> None:
        """Send a key, or let it wait for those before it; it is dropped where too many wait."""
        if len(self._waiting) < KEYS_WAITING:
            self._waiting.append((key, duration_ms))
            self._send_next(now)

    def response_came(self, event: ResponseArrived) -> None:
        """Send the next key; the call ends where the other side does not know it any more."""
        status = event.response.status
        if status < 200:
            return
        self.is_asking = False
        self._far.note_response(event.response, event.at)
        dialogs, dialog = self.call.endpoint.dialogs, self._far.dialog
        if status == 481 and not dialogs.is_asked_elsewhere(dialog, event.transaction.peer):
            self._waiting.clear()
            self._far.call.lost(self._far, status, event.at)
        else:
            self._send_next(event.at)

    def no_response(self, event: NoResponse) -> None:
        """Send the next key, and let the call go on: old peers do not support INFO."""
        self.is_asking = False
        self._send_next(event.at)

    def _send_next(self, now: Instant) -> None:
        early, media = self._far.early, self._far.facts.media
        if media is not None and media.is_over:  # the leg has ended: its peer does not know the dialog any more
            self._waiting.clear()
        if self.is_asking or not self._waiting:
            return
        if self._far.dialog is None and (early is None or early.speaking is None):
            return
        key, duration_ms = self._waiting.popleft()
        self.is_asking = True
        body = f"Signal={_FLASH_NUMBER if key == FLASH else key}\r\nDuration={duration_ms}\r\n".encode()
        self._far.ask("INFO", of_information(self.call.endpoint, f"Content-Type: {KEY_TYPE}\r\n"), body, self, now)


def relay(origin: "Leg", far: "Leg", event: RequestArrived, *, has_key: bool) -> None:
    """Answer an INFO, or forward it and let the other side answer."""
    request, server, now = event.request, event.transaction, event.at
    if not isinstance(server, Server):
        raise TypeError("an INFO came with the transaction of an INVITE")
    if request.header("info-package") is not None:
        origin.respond(server, 469, now, "Recv-Info:\r\n")
    elif not request.body:
        origin.respond(server, 200, now)
    elif is_encoded(request):
        origin.respond(server, 415, now, ACCEPT_ENCODING)
    elif (content := _content(request, types_sent(far))) is None:
        origin.respond(server, 415, now, f"Accept: {', '.join(sorted(PASSED_ON | types_sent(far)))}\r\n")
    elif origin.informing >= IN_FLIGHT_MAX:
        origin.respond(server, 500, now, retry_later(far.call.endpoint))
    else:
        lines, body = content
        server.defer_response(far.call.endpoint.server_header, now)
        owner = Information(origin, far, server, has_key=has_key)
        far.ask("INFO", of_information(far.call.endpoint, lines), body, owner, now)


def _content(request: Request, types: frozenset[str]) -> tuple[str, bytes] | None:
    """Return the Content header lines and the body of an INFO that is forwarded; None = its body may not be."""
    kind = media_type(request)
    if kind in PASSED_ON:
        return f"Content-Type: {kind}\r\n", request.body
    parts = passed_parts(request, types) if types else ()
    return composed(parts) if parts and unknown_types(request) <= types else None
