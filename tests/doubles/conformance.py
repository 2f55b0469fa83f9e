"""A strict reader of every message of the switch: what RFC 3261 and its extensions require of it as a whole.

The user agents of tests take what they can make sense of; this one complains. It sees the packets of both
directions, so it judges a response by its request, and a request by what was said in its dialog before.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message
from doubles.virtual.wire import Packet
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.parse import parse_message

_IN_ALL_REQUESTS: Final = {"via", "from", "to", "call-id", "cseq", "content-length", "max-forwards"}
_IN_ALL_RESPONSES: Final = _IN_ALL_REQUESTS - {"max-forwards"}
_BODY: Final = {"content-type"}
_TIMER: Final = {"session-expires", "min-se"}
_MUST_BE_IN_REQUEST: Final = {
    "INVITE": {"contact", "allow"}, "UPDATE": {"contact", "allow"}, "PRACK": {"rack"},
    "NOTIFY": {"contact", "event", "subscription-state", "content-type"}, "INFO": {"content-type"},
    "REGISTER": {"contact", "expires"}, "OPTIONS": {"accept", "contact"},
}  # fmt: skip
_MAY_BE_IN_REQUEST: Final = {
    "INVITE": {"accept", "supported", "require", "route", "user-agent", "privacy", "p-asserted-identity",
               "remote-party-id", "diversion", "history-info", "identity", "date"} | _BODY | _TIMER,
    "UPDATE": {"supported", "route", "user-agent"} | _BODY | _TIMER, "OPTIONS": {"route", "user-agent"},
    "ACK": {"route"} | _BODY, "BYE": {"route", "user-agent", "reason"}, "CANCEL": {"route", "reason"},
    "INFO": {"route", "user-agent"}, "NOTIFY": {"route", "user-agent"}, "PRACK": {"route", "user-agent"} | _BODY,
    "REGISTER": {"supported", "user-agent"},
}  # fmt: skip
_OUTSIDE: Final = frozenset({"INVITE", "REGISTER", "OPTIONS"})
"""Requests of ours that may be outside any dialog."""
_PROOFS: Final = {"authorization", "proxy-authorization"}
_ESTABLISHING: Final = range(101, 300)
_IDENTIFIER: Final = re.compile(rb"[0-9a-f]{6,}|(?<=-)[0-9]+|(?<=CSeq: )[0-9]+")
"""Of a call, a dialog, a transaction or a session; a telephone number; the number of a request."""


def faults_of(packets: Iterable[Packet], switch: Address) -> list[str]:
    """Return what a strict peer of ``switch`` would complain of, each with the packet it is about."""
    scrutiny = _Scrutiny()
    found = []
    for packet in packets:
        if packet.source == switch:
            found += [f"{packet}: {fault}" for fault in scrutiny.of_ours(packet)]
        elif packet.target == switch:
            scrutiny.note_theirs(packet)
    return found


class _Scrutiny:
    """The messages so far."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], Message] = {}
        """Requests to the switch, by branch and method."""
        self._faults_asked: dict[tuple[str, str], list[str]] = {}
        """What is wrong with those requests: their responses have to repeat it (section 8.2.6.2)."""
        self._answered: dict[tuple[str, str], int] = {}
        """The latest status that each was given."""
        self._said: dict[tuple[str, str], bytes] = {}
        """Requests of the switch, by branch and method: one that is repeated is the same to the byte."""
        self._counted: defaultdict[tuple[str, str], int] = defaultdict(int)
        """The highest CSeq of each of its dialogs, by Call-ID and the peer's tag."""
        self._hung_up: set[tuple[str, str]] = set()
        """Dialogs that the switch has sent BYE in."""
        self._invites: dict[str, Message] = {}
        """INVITEs of the switch, by branch."""
        self._challenged: set[str] = set()
        """Call-IDs of challenged requests."""
        self._judged: dict[bytes, list[str]] = {}
        """What is wrong with the headers of a message of the switch by themselves; many differ in identifiers alone."""

    def note_theirs(self, packet: Packet) -> None:
        """Remember a request of a peer, and what it wants proven."""
        message = _read(packet)
        if message is not None and message.status in {401, 407}:
            self._challenged.add(message["Call-ID"])
            if message["CSeq"].endswith(" BYE"):
                self._hung_up.discard((message["Call-ID"], message.to_tag))
        if message is not None and message.method is not None and message.method != "ACK":
            key = _key(message)
            if key not in self._asked:
                self._asked[key], self._faults_asked[key] = message, _problems(packet)

    def of_ours(self, packet: Packet) -> list[str]:
        """Return what is wrong with a packet of the switch."""
        parsed = parse_message(packet.data)
        message = Message(packet.data, packet.source)
        faults = []
        names = {name for name, _ in message.headers}
        if int(message["Content-Length"]) != len(packet.data.partition(b"\r\n\r\n")[2]):
            faults.append("Content-Length is not that of the body")
        if bool(parsed.body) != ("content-type" in names):
            faults.append("a body needs a Content-Type, and nothing else does")
        if isinstance(parsed, Request):
            faults += self._of_request(parsed, message, names)
        else:
            faults += self._of_response(parsed, message, names)
        return faults

    def _problems_of(self, message: Request | Response) -> list[str]:
        kind = _IDENTIFIER.sub(b"0", message.raw)
        if kind not in self._judged:
            self._judged[kind] = message.problems()
        return self._judged[kind]

    # -- requests -----------------------------------------------------------------------------------------------

    def _of_request(self, request: Request, message: Message, names: set[str]) -> list[str]:
        method, key = request.method, _key(message)
        must = _IN_ALL_REQUESTS | _MUST_BE_IN_REQUEST.get(method, set())
        may = must | _MAY_BE_IN_REQUEST[method]
        belongs_to_invite = method == "CANCEL" or (method == "ACK" and key[0] in self._invites)
        if request.call_id in self._challenged and not belongs_to_invite:
            may |= _PROOFS
        faults = self._problems_of(request) + _compared(names, must, may)
        if names & _TIMER and not (names >= _TIMER and _seconds(message, "Session-Expires") >= _shortest(message)):
            faults.append("Session-Expires goes with a Min-SE that is no larger")
        if len(message.every("Via")) != 1:
            faults.append("a request of ours begins with one Via")
        if key in self._said:
            return faults if self._said[key] == request.raw else [*faults, "a repetition must be the same"]
        self._said[key] = request.raw
        if method == "INVITE":
            self._invites[key[0]] = message
        if belongs_to_invite:
            return faults + self._of_one_that_belongs_to_an_invite(message, self._invites.get(key[0]))
        return faults + self._of_one_within_its_dialog(request)

    def _of_one_that_belongs_to_an_invite(self, message: Message, invite: Message | None) -> list[str]:
        """Judge a CANCEL, or the ACK of a failure (sections 9.1 and 17.1.1.3)."""
        if invite is None:
            return ["there is no INVITE that it could belong to"]
        same = ["Via", "From", "Call-ID", "Route", *(["To"] if message.method == "CANCEL" else [])]
        faults = [f"{name} is not that of the INVITE" for name in same if message.every(name) != invite.every(name)]
        if message.start_line.split(" ")[1] != invite.start_line.split(" ")[1]:
            faults.append("the Request-URI is not that of the INVITE")
        if message["CSeq"].split(" ")[0] != invite["CSeq"].split(" ")[0]:
            faults.append("CSeq is not that of the INVITE")
        return faults

    def _of_one_within_its_dialog(self, request: Request) -> list[str]:
        """Judge the order of requests, in which an ACK has the place of its INVITE (sections 12.2.1.1, 13.2.2.4)."""
        faults = []
        if not request.to_tag and request.method not in _OUTSIDE:
            faults.append("a request within a dialog needs the tag of its other end")
        dialog, number = (request.call_id, request.to_tag), request.cseq.number
        counted = max(self._counted[dialog], self._counted[request.call_id, ""])
        if request.method == "ACK":
            if number > counted:
                faults.append("an ACK has the CSeq of its INVITE")
        elif number <= counted:
            faults.append("CSeq must grow")
        else:
            self._counted[dialog] = number
        if dialog in self._hung_up and request.method != "ACK":
            faults.append("nothing is asked in a dialog after BYE")
        if request.method == "BYE":
            self._hung_up.add(dialog)
        return faults

    # -- responses ----------------------------------------------------------------------------------------------

    def _of_response(self, response: Response, message: Message, names: set[str]) -> list[str]:
        key, status = _key(message), response.status
        asked = self._asked.get(key)
        if asked is None:
            return ["no challenge"]
        method = asked.method or ""
        must, may = _headers_of(status, method, asked)
        excused = {fault.split(" ")[0] for fault in self._faults_asked[key]}
        problems = [fault for fault in self._problems_of(response) if fault.split(" ")[0] not in excused]
        faults = problems + _compared(names, must, must | may)
        faults += _repeated(message, asked, status)
        if 200 <= status < 300:
            faults += _of_timer_agreed(message, asked)
        before = self._answered.get(key, 0)
        if before >= 200 and before != status:
            faults.append(f"there was a final response already: {before}")
        if method != "INVITE" and 100 < status < 200:
            faults.append("only an INVITE has provisional responses beyond 100 (RFC 4320)")
        self._answered[key] = status
        return faults


def _headers_of(status: int, method: str, asked: Message) -> tuple[set[str], set[str]]:
    """Return which headers a response must have, and which it may have besides."""
    must, may = set(_IN_ALL_RESPONSES), {"server"}
    begins_dialog = method == "INVITE" and ";tag=" not in asked["To"]
    if status == 100:
        return must | ({"timestamp"} if any(stamp[0].isdigit() for stamp in asked.every("Timestamp")) else set()), may
    if status in _ESTABLISHING and method == "INVITE":
        must |= {"contact"} | ({"record-route"} if begins_dialog and asked.every("Record-Route") else set())
        may |= _BODY | {"require", "rseq", "allow"}
    if 200 <= status < 300:
        may |= _BODY
        must |= {
            "INVITE": {"allow", "supported"}, "UPDATE": {"contact", "allow", "supported"}, "REFER": {"contact"},
            "OPTIONS": {"allow", "accept", "accept-encoding", "accept-language", "supported"},
        }.get(method, set())  # fmt: skip
        may |= {"refer-sub"} if method == "REFER" else set()
        may |= {"session-expires", "require"} if method in {"INVITE", "UPDATE"} else set()
    elif status >= 300:
        may |= {"reason", "warning", "retry-after"}
        must |= {
            405: {"allow"}, 406: {"accept"}, 420: {"unsupported"}, 421: {"require"}, 422: {"min-se"},
            469: {"recv-info"}, 489: {"allow-events"},
        }.get(status, set())  # fmt: skip
        may |= {"accept", "accept-encoding"} if status == 415 else set()
    return must, may


def _compared(names: set[str], must: set[str], may: set[str]) -> list[str]:
    missing = [f"{name} is missing" for name in sorted(must - names)]
    return missing + [f"{name} has no business there" for name in sorted(names - may)]


def _repeated(message: Message, asked: Message, status: int) -> list[str]:
    """Judge what a response must repeat of its request (section 8.2.6.2)."""
    faults = [
        f"{name} is not that of the request"
        for name in ("From", "Call-ID", "CSeq", *(["Record-Route"] if message.every("Record-Route") else []))
        if message.listed(name) != asked.listed(name)
    ]
    if [_without_receipt(via) for via in message.every("Via")] != [_without_receipt(via) for via in asked.every("Via")]:
        faults.append("Via is not that of the request")
    to, said = asked["To"], message["To"]
    if ";tag=" in to or status == 100:
        if said != to:
            faults.append("To is not that of the request")
    elif not said.startswith(f"{to};tag="):
        faults.append("To needs a tag of ours")
    return faults


def _of_timer_agreed(message: Message, asked: Message) -> list[str]:
    """Compare the session timer in a 2xx with that in its request (RFC 4028 section 9, table 2)."""
    needs_timer = "timer" in message.listed("Require")
    if not message.every("Session-Expires"):
        return ["Require: timer goes with Session-Expires"] if needs_timer else []
    faults = []
    interval_s, said = _seconds(message, "Session-Expires"), message["Session-Expires"].partition("refresher=")[2]
    wanted = asked.listed("Session-Expires") + asked.listed("x")
    if said not in {"uac", "uas"}:
        faults.append("the refresher must be named")
    if said == "uac" and not needs_timer:
        faults.append("a peer that is to refresh is told so by Require: timer")
    if wanted and "refresher=" in wanted[0] and wanted[0].partition("refresher=")[2] != said:
        faults.append("the refresher is not the one that was wanted")
    if wanted and interval_s > int(wanted[0].partition(";")[0]):
        faults.append("a session interval may be reduced, never increased")
    if interval_s < _shortest(asked):
        faults.append("the session interval is smaller than allowed")
    return faults


def _seconds(message: Message, name: str) -> int:
    return int((message.every(name) or ["0"])[0].partition(";")[0])


def _shortest(message: Message) -> int:
    wanted_s = _seconds(message, "Min-SE")
    return wanted_s if 90 < wanted_s <= 86_400 else 90  # more than a day is ignored


def _without_receipt(via: str) -> list[str]:
    return [part for part in via.split(";") if not part.startswith(("rport", "received"))]


def _read(packet: Packet) -> Message | None:
    try:
        return Message(packet.data, packet.source)
    except (IndexError, ValueError):
        return None  # what a test sends to see it refused


def _problems(packet: Packet) -> list[str]:
    try:
        return parse_message(packet.data).problems()
    except ParseError as error:
        return [] if error.request is None else error.request.problems()


def _key(message: Message) -> tuple[str, str]:
    via, (_, _, method) = message["Via"], message["CSeq"].partition(" ")
    return via.partition("branch=")[2].partition(";")[0].partition(",")[0], method
