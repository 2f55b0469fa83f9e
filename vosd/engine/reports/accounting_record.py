"""Accounting of one call as attributes of RADIUS (RFC 2866), with those of Cisco's voice gateways.

Pure. A call has one session, that of its caller's leg; its ``Acct-Session-Id`` is the call's id.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.cause import EndReason
from vosd.callcontrol.bookkeeping import radius_classes_of
from vosd.callcontrol.call_request import CallRequest
from vosd.cdr.record import CallRecord
from vosd.radius.packets import Attributes

SESSION: Final = "Acct-Session-Id"
_CONNECTED: Final = "h323-connect-time"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

START: Final = "Start"
STOP: Final = "Stop"
INTERIM: Final = "Interim-Update"
ON: Final = "Accounting-On"
OFF: Final = "Accounting-Off"

_CAUSES: Final = {
    EndReason.NORMAL.text: "User-Request",
    EndReason.CANCELLED.text: "User-Request",
    EndReason.NO_ACK.text: "Lost-Carrier",
    EndReason.SESSION_TIMEOUT.text: "Lost-Carrier",
    EndReason.NO_MEDIA.text: "Lost-Carrier",
    EndReason.MAXIMUM_DURATION.text: "Session-Timeout",
    EndReason.BALANCE_EXHAUSTED.text: "Session-Timeout",
    EndReason.ADMINISTRATIVE.text: "Admin-Reset",
    EndReason.SHUTDOWN.text: "NAS-Reboot",
    EndReason.LOST.text: "NAS-Reboot",
}
"""Acct-Terminate-Cause of end reasons (RFC 2866 section 5.10); of a call without an answer it is another one."""
_NOT_SERVED: Final = "Service-Unavailable"


class AccountingRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as the spool keeps it."""

    status: str
    """Acct-Status-Type."""
    at: int
    """The moment of the event, in milliseconds of UTC."""
    attributes: list[tuple[str, str | int]]
    classes: tuple[bytes, ...] = ()
    """Values of Class, as the Access-Accept of the call has them (RFC 2865 section 5.25)."""

    @property
    def is_minor(self) -> bool:
        """Whether no bill needs it: an Interim-Update, or the Stop of a call without an answer."""
        return self.status == INTERIM or (
            self.status == STOP and all(name != _CONNECTED for name, _ in self.attributes)
        )

    def sent_at(self, wall_ms: int) -> Attributes:
        """Return the attributes of a packet that is sent at a time; the delay grows (RFC 2866 section 5.2)."""
        return [
            ("Acct-Status-Type", self.status),
            ("Event-Timestamp", self.at // 1_000),
            ("Acct-Delay-Time", max(0, (wall_ms - self.at) // 1_000)),
            *self.attributes,
            *[("Class", value) for value in self.classes],
        ]


def of_answered_call(arrival: Arrival, journey: Journey, request: CallRequest) -> AccountingRecord:
    """Return the Start of a call."""
    answered = journey.answered_at or arrival.at
    epoch = arrival.at.wall - arrival.at.mono
    connected = epoch + answered.mono
    attributes = _common(
        call_id=arrival.call_id,
        user=request.mapping.name if request.mapping else None,
        caller=arrival.caller_in,
        callee=arrival.callee_in,
        source=arrival.source_address,
        sip_call_id=arrival.sip_call_id_in,
        setup_ms=arrival.at.wall,
    )
    attributes.append(_time(_CONNECTED, connected))
    return AccountingRecord(START, connected, attributes, request.radius_classes)


def of_talking_call(start: AccountingRecord, talk_ms: int) -> AccountingRecord:
    """Return the Interim-Update of a call that goes on, by its Start and the time since."""
    seconds = ("Acct-Session-Time", talk_ms // 1_000)
    return AccountingRecord(INTERIM, start.at + talk_ms, [*start.attributes, seconds], start.classes)


def of_ended_call(record: CallRecord) -> AccountingRecord:
    """Return the Stop of a call."""
    attributes = _common(
        call_id=record.call_id,
        user=record.mapping_gateway,
        caller=record.caller_in,
        callee=record.callee_in,
        source=record.source_address,
        sip_call_id=record.sip_call_id_in,
        setup_ms=record.started_at,
    )
    if record.answered_at is not None:
        attributes.append(_time(_CONNECTED, record.answered_at))
    attributes += (
        _time("h323-disconnect-time", record.ended_at),
        ("h323-disconnect-cause", f"h323-disconnect-cause={record.q850_cause or 0:x}"),
        ("Acct-Session-Time", record.hold_time_s),
        ("Acct-Terminate-Cause", _CAUSES.get(record.end_reason, _NOT_SERVED)),
    )
    return AccountingRecord(STOP, record.ended_at, attributes, radius_classes_of(record))


def of_switch(status: str, wall_ms: int) -> AccountingRecord:
    """Return Accounting-On or Accounting-Off: all sessions of the switch are over."""
    return AccountingRecord(status, wall_ms, [(SESSION, f"{wall_ms:x}")])


def _common(
    *, call_id: str, user: str | None, caller: str, callee: str, source: str, sip_call_id: str, setup_ms: int
) -> list[tuple[str, str | int]]:
    digits = call_id.replace("-", "").upper()
    conference = " ".join(digits[at : at + 8] for at in range(0, 32, 8))
    host = source.rpartition(":")[0].strip("[]")
    attributes: list[tuple[str, str | int]] = [
        (SESSION, call_id),
        ("Calling-Station-Id", caller),
        ("Called-Station-Id", callee),
        ("h323-conf-id", f"h323-conf-id={conference}"),
        ("h323-call-origin", "h323-call-origin=answer"),
        ("h323-call-type", "h323-call-type=VoIP"),
        ("h323-remote-address", f"h323-remote-address={host}"),
        ("Cisco-AVPair", f"call-id={sip_call_id}"),
        _time("h323-setup-time", setup_ms),
    ]
    if user:
        attributes.insert(0, ("User-Name", user))
    return [(name, value) for name, value in attributes if value != ""]


def _time(name: str, wall_ms: int) -> tuple[str, str]:
    """Return a time in the form of Cisco's gateways, such as ``12:34:56.789 UTC Tue Nov 24 2026``."""
    at = datetime.fromtimestamp(wall_ms // 1_000, UTC)
    clock = f"{at:%H:%M:%S}.{wall_ms % 1_000:03}"
    return name, f"{name}={clock} UTC {_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at.day} {at.year}"
