"""Draw a call as a ladder diagram in plain text: its messages, their times and its end.

One column for the caller, one for the switch, one for every address that was tried; texts stand beside the arrows, so
that ten attempts fit into a hundred columns as well as one. The source of the messages is not known here.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from vosd.base.host import bracketed
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import Attempt
from vosd.obs.traced import Direction, TracedCall, TracedMessage, TracedOutcome
from vosd.sdp.summary import summary
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.parse import parse_message

COLUMNS: Final = 100
_TIME_COLUMNS: Final = 9
_LANES_COLUMNS: Final = 40
"""Width of the arrows while there are few enough lanes."""
_NARROWEST: Final = 4
_WIDEST: Final = 12
_LABEL_COLUMNS_MIN: Final = 30
_BEGINS_LATE: Final = "what was said before is no longer kept"


class _Party(NamedTuple):
    """A peer of the switch: an address, on one leg or the other."""

    is_caller: bool
    address: str


class _Lanes:
    """Positions of the columns, and the arrows between them."""

    def __init__(self, parties: Sequence[_Party]) -> None:
        self._own = int(bool(parties) and parties[0].is_caller)
        self._at = {party: lane if lane < self._own else lane + 1 for lane, party in enumerate(parties)}
        gaps = max(1, len(parties))
        self._spacing = max(_NARROWEST, min(_WIDEST, _LANES_COLUMNS // gaps))
        self.names = [*["caller"][: self._own], "vosd", *map(str, range(1, gaps + 1 - self._own))]

    @property
    def own_name(self) -> str:
        return self.names[self._own]

    def name(self, party: _Party) -> str:
        return self.names[self._at[party]]

    def header(self) -> str:
        return "".join(name[: self._spacing - 1].ljust(self._spacing) for name in self.names).rstrip()

    def empty(self) -> str:
        return "|".ljust(self._spacing) * (len(self.names) - 1) + "|"

    def arrow(self, party: _Party, way: Direction) -> str:
        """Draw an arrow between a party and the switch across the columns between them."""
        theirs, ours = self._at[party] * self._spacing, self._own * self._spacing
        left, right = sorted((theirs, ours))
        row = list(self.empty())
        row[left + 1 : right] = [mark.replace(" ", "-") for mark in row[left + 1 : right]]
        to_the_right = (ours if way is Direction.OUT else theirs) == left
        row[right - 1 if to_the_right else left + 1] = ">" if to_the_right else "<"
        return "".join(row)


def title(call: TracedCall) -> str:
    """Return one line that identifies the call."""
    when = f", {iso_utc(call.messages[0].at)}" if call.messages else ""
    return _printable(f"call {call.call_id}: {call.caller} -> {call.callee}{when}")


def draw(call: TracedCall) -> Iterator[str]:
    """Yield the lines of a call's ladder."""
    messages = call.messages
    yield title(call)
    if not messages:
        yield f"  {_BEGINS_LATE}"
        return
    start = messages[0].at
    parties = _parties(messages)
    lanes = _Lanes(parties)
    yield from _legend(call, parties, lanes)
    yield ""
    yield f"{'ms':>{_TIME_COLUMNS}}  {lanes.header()}"
    is_first_leg = messages[0].leg == 0 or call.mapping_gateway is None  # a test call has no leg of a caller
    if not (is_first_leg and messages[0].data.startswith(b"INVITE ")):
        yield f"{'':>{_TIME_COLUMNS}}  {lanes.empty()}  ({_BEGINS_LATE})"
    seen: set[tuple[int, Direction, bytes]] = set()
    for message in messages:
        key = (message.leg, message.way, message.data)
        row = f"{message.at - start:>{_TIME_COLUMNS}}  {lanes.arrow(_party(message), message.way)}"
        width = max(_LABEL_COLUMNS_MIN, COLUMNS - len(row) - 2)
        for line in _beside(message.data, width, is_repeated=key in seen):
            yield f"{row}  {line}".rstrip()
            row = f"{'':>{_TIME_COLUMNS}}  {lanes.empty()}"
        seen.add(key)
    yield ""
    yield from _ending(call.outcome)


def heading(data: bytes) -> str:
    """Return a short description of a message: method or status, and CSeq; printable whatever the peer sent."""
    message = _read(data)
    if message is None:
        first_line = data.lstrip(b"\r\n").partition(b"\n")[0].decode("utf-8", "replace").strip()
        return _printable(f"{first_line} (malformed)")
    number, method = (message.header("cseq") or "?").partition(" ")[::2]
    if isinstance(message, Request):
        return _printable(f"{message.method} {number}")
    return _printable(f"{message.status} {message.reason} ({number} {method.strip()})")


def _beside(data: bytes, width: int, *, is_repeated: bool) -> list[str]:
    """Return the text beside an arrow, wrapped to a width: a repeated message is only named."""
    if is_repeated:
        return _wrapped(f"{heading(data)} (again)", width)
    message = _read(data)
    said = [heading(data)]
    if message is not None:
        reason = message.header("reason")
        said += [f"Reason: {reason}"] if reason else []
        session = summary(message.body) if "sdp" in (message.header("content-type") or "").lower() else ""
        said += [session] if session else []
    first, *more = [_printable(text) for text in said]
    return [line for text, indent in ((first, ""), *((text, "  ") for text in more))
            for line in _wrapped(text, width, indent)]  # fmt: skip


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + "  ") or [""]


def _legend(call: TracedCall, parties: Sequence[_Party], lanes: _Lanes) -> Iterator[str]:
    ours = dict.fromkeys(_address(each.transport, each.local_host, each.local_port) for each in call.messages)
    gateways = _gateway_names(call)
    lines = {lanes.own_name: _legend_line(lanes.own_name, ", ".join(ours))}
    for party in parties:
        names = [call.mapping_gateway or ""] if party.is_caller else gateways.get(party, [])
        lines[lanes.name(party)] = _legend_line(lanes.name(party), party.address, ", ".join(names))
    yield from (lines[name] for name in lanes.names)


def _legend_line(name: str, address: str, gateway: str = "") -> str:
    return _printable(f"  {name:<8}{address:<28}{gateway}").rstrip()


def _gateway_names(call: TracedCall) -> Mapping[_Party, list[str]]:
    """Return the gateways tried at each address: the n-th leg is the n-th attempt."""
    names: dict[_Party, list[str]] = {}
    for message in call.messages:
        if 1 <= message.leg <= len(call.gateways) and message.way is Direction.OUT:
            known, name = names.setdefault(_party(message), []), call.gateways[message.leg - 1]
            if name not in known:
                known.append(name)
    return names


def _ending(outcome: TracedOutcome | None) -> Iterator[str]:
    if outcome is None:
        yield "the call goes on"
        return
    codes = [f"{outcome.sip_code} to the caller"] if outcome.sip_code else []
    codes += [f"Q.850 cause {outcome.q850_cause}"] if outcome.q850_cause is not None else []
    codes += [f"ended by {outcome.hangup_source}"]
    codes += [f"after {outcome.hold_time_ms} ms of conversation"] if outcome.hold_time_ms else []
    yield f"{outcome.end_reason}: {', '.join(codes)}"
    yield from _attempts(outcome.attempts)


def _attempts(attempts: Iterable[Attempt]) -> Iterator[str]:
    for attempt in attempts:
        rang = "" if attempt.pdd_ms is None else f", rang after {attempt.pdd_ms} ms"
        code = attempt.code or ("no final response" if attempt.was_sent else "not sent")
        yield f"  {attempt.gateway}: {code} after {attempt.ms} ms{rang}: {attempt.reason}"


def _parties(messages: Iterable[TracedMessage]) -> list[_Party]:
    """Return all parties in the order of appearance, the caller first."""
    parties = list(dict.fromkeys(map(_party, messages)))
    parties.sort(key=lambda party: not party.is_caller)
    return parties


def _party(message: TracedMessage) -> _Party:
    return _Party(message.leg == 0, _address(message.transport, message.remote_host, message.remote_port))


def _address(transport: str, host: str, port: int) -> str:
    where = f"{bracketed(host)}:{port}"
    return where if transport == "udp" else f"{where} {transport}"


def _read(data: bytes) -> Request | Response | None:
    try:
        return parse_message(data)
    except ParseError as error:
        return error.request


def _printable(text: str) -> str:
    """Replace control characters in text of peers, which could control the terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
