"""Everything that the switch may ever ask of a message, asked at once: for tests with arbitrary bytes.

Whatever comes, a reader gives a value or raises ParseError; anything else that gets out of here is a bug.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from doubles.virtual.probe import CUSTOMER, LISTENER, VENDOR, straight
from vosd.b2bua.identity import caller_identity_of
from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.sdp.codec import first_audio_codec
from vosd.sdp.rewrite import reachable_at
from vosd.sip import ParseError, Request, Response, parse_message
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import rseq_of
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.rack import Rack
from vosd.sip.headers.reason import q850_cause
from vosd.sip.headers.replaces import ReferTo, Replaces
from vosd.sip.headers.retry_after import retry_after_s
from vosd.sip.headers.via import Via, branch_of
from vosd.sip.nat import is_behind_nat
from vosd.sip.registration.registrar import Binding, register, user_of
from vosd.sip.screening import hops_left, objection, own_branch
from vosd.sip.settings import Limits, RegistrarSettings
from vosd.sip.wire.body import session_of, unknown_types
from vosd.sip.wire.compose import response, response_stem
from vosd.sip.wire.lenient import mended
from vosd.sip.wire.message import Message
from vosd.sip.wire.outgoing import InviteParts
from vosd.sip.wire.uri import Uri
from vosd.trunks.dialect import CalleeSource, CallerSource

Asked = TypeVar("Asked", bound=Message)

_LIMITS: Final = Limits()
_OURS: Final = InviteParts(
    uri="sip:4420@198.51.100.7", via=f"SIP/2.0/UDP {LISTENER.sent_by};branch=z9hG4bKours", from_="<sip:us>;tag=ours",
    to="<sip:them>", call_id="out@192.0.2.1", sequence=1, peer=VENDOR,
)  # fmt: skip

_NOW: Final = Instant(1_000_000, 1_790_000_000_000)
_REGISTERED: Final = (
    Binding(0, "sip:1001@192.168.1.20:5060;line=1", 1_000, "a@b", 1, _NOW.wall, _NOW.plus(600_000), 600, CUSTOMER),
    Binding(2, "sips:1001@host;transport=tcp?x=y", 0, "c@d", 7, _NOW.wall, _NOW.plus(60_000), 60, VENDOR),
)


def _register(request: Request) -> None:
    """Register as a user that is registered already; any result can be stored and displayed."""
    outcome = register(_REGISTERED, request, CUSTOMER, RegistrarSettings(max_contacts=3), _NOW)
    assert len(outcome.bindings) <= 3
    assert len({binding.slot for binding in outcome.bindings}) == len(outcome.bindings)
    assert all(line.isprintable() for line in outcome.headers.split("\r\n"))
    assert all(binding.is_live(_NOW) and "\n" not in "".join(binding.path) for binding in outcome.bindings)


_OF_ANY: Final[tuple[Callable[[Message], object], ...]] = (
    lambda message: message.via.branch,
    lambda message: message.cseq,
    lambda message: (message.from_.tag, message.from_.param("x")),
    lambda message: message.to.tag,
    lambda message: message.contact,
    lambda message: (message.from_tag, message.to_tag, message.call_id),
    lambda message: branch_of(message.header("via") or ""),
    lambda message: Uri.parse(message.from_.uri).param("user"),
    session_of,
    lambda message: reachable_at(message.body, CUSTOMER.host),
    lambda message: is_behind_nat(Nat.AUTO, message, CUSTOMER),
    unknown_types,
    q850_cause,
    retry_after_s,
    lambda message: first_audio_codec(message.body),
)
_OF_REQUEST: Final[tuple[Callable[[Request], object], ...]] = (
    lambda request: request.target.param("transport"),
    objection,
    hops_left,
    lambda request: own_branch(request, "z9hG4bKours"),
    lambda request: InviteNumbers(request).called(CalleeSource.REQUEST_URI),
    lambda request: InviteNumbers(request).calling(tuple(CallerSource)),
    caller_identity_of,
    Rack.of,
    ReferTo.of,
    lambda request: Replaces.parse(request.header("replaces") or ""),
    lambda request: Dialog.of_caller(request, "ours", CUSTOMER, straight).request("BYE", _OURS.via, 1, ""),
    lambda request: response(response_stem(request, CUSTOMER), 400, "ours", ""),
    user_of,
    _register,
)
_OF_RESPONSE: Final[tuple[Callable[[Response], object], ...]] = (
    rseq_of,
    lambda answer: Dialog.of_callee(_OURS, "ours", answer, straight).request("ACK", _OURS.via, 1, ""),
)


def exercise(data: bytes, limits: Limits = _LIMITS) -> Request | Response | None:
    """Read one message and ask it everything; return it, also where it is refused but can be answered."""
    try:
        message = parse_message(data, limits)
    except ParseError as error:
        read = error.request or error.response
        if read is None:
            return None
        message = mended(data, error, None, CUSTOMER, limits) or read
    _ask(message, _OF_ANY)
    if isinstance(message, Request):
        _ask(message, _OF_REQUEST)
    else:
        _ask(message, _OF_RESPONSE)
    for name, _ in message.fields:
        message.header(name)
        message.values(name)
        for element in message.headers(name):
            with suppress(ParseError):
                NameAddr.parse(element)
    for via in message.headers("via"):
        with suppress(ParseError):
            Via.parse(via)
    assert all(problem.isprintable() for problem in message.problems())
    repr(message)
    return message


def _ask(message: Asked, questions: tuple[Callable[[Asked], object], ...]) -> None:
    for question in questions:
        with suppress(ParseError):
            question(message)
