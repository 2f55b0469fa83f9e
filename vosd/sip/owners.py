"""Owners of the objects of the SIP core, which receive their events: one protocol for each kind of object.

A leg owns its dialog and its INVITE; a proposal owns the re-INVITE that it has sent, a registration its REGISTER.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vosd.base.clock import Instant
    from vosd.sip.dialog.acceptance import Acceptance
    from vosd.sip.dialog.dialog import Dialog
    from vosd.sip.events import (
        AckArrived,
        AckMissing,
        AlarmFired,
        CancelArrived,
        EarlierAnswer,
        NoResponse,
        ProvisionalUnacknowledged,
        RequestArrived,
        ResponseArrived,
        UnwantedAnswer,
    )
    from vosd.sip.wire.message import Request


class ClientOwner(Protocol):
    """Waits for the response to a request of ours."""

    def response_came(self, event: "ResponseArrived", /) -> None:
        """Handle a response."""

    def no_response(self, event: "NoResponse", /) -> None:
        """Handle that there was no final response in time, or no connection."""


class Witness(Protocol):
    """Receives an answer that no call waits for; ACK and BYE are sent already."""

    def unwanted_answer(self, event: "UnwantedAnswer", /) -> None:
        """Record the answer: it may cost money."""


class InviteServerOwner(Protocol):
    """Answers an INVITE."""

    @property
    def dialog(self) -> "Dialog | None":
        """The dialog that the INVITE has made or changes."""

    def cancelled(self, event: "CancelArrived", /) -> None:
        """Handle a CANCEL that came before the answer."""


class AcceptanceOwner(InviteServerOwner, Protocol):
    """Has answered an INVITE with 2xx and waits for the ACK."""

    def ack_missing(self, event: "AckMissing", /) -> None:
        """Handle that the ACK did not come in time."""


class ProvisionalOwner(Protocol):
    """Has sent a reliable provisional response and waits for the PRACK."""

    @property
    def dialog(self) -> "Dialog | None":
        """The dialog of the INVITE."""

    def provisional_unacknowledged(self, event: "ProvisionalUnacknowledged", /) -> None:
        """Handle that the PRACK did not come in time."""


class AlarmOwner(Protocol):
    """Has set an alarm (``Endpoint.set_alarm``)."""

    def alarm_fired(self, event: "AlarmFired", /) -> None:
        """Do what the alarm was set for."""


class DialogKeeper(Protocol):
    """Keeps a dialog: found by our tag, and asked which dialog a request fits."""

    @property
    def dialog(self) -> "Dialog | None":
        """The dialog as it stands, or None while there is none."""

    @property
    def forks(self) -> "Mapping[str, Dialog]":
        """Early dialogs that share our tag, by the tags of those who answered (RFC 3261 section 12.1)."""

    @property
    def acceptance(self) -> "Acceptance | None":
        """Our 2xx that has no ACK yet, if there is one."""

    def moved(self) -> None:
        """Note that the peer of the dialog is reached at another address from now on."""


class KeyPauses(Protocol):
    """The pauses between the keys that a peer sends as INFO."""

    def answer_repeated(self, request: "Request", now: "Instant", /) -> None:
        """Process that an INFO of the peer has come again, and was answered again."""


class DialogOwner(DialogKeeper, Witness, Protocol):
    """Keeps the dialog of something that runs, and handles the requests within it."""

    @property
    def keypad(self) -> KeyPauses | None:
        """The keys of the peer; None where they are all for the other side."""

    def request_came(self, event: "RequestArrived", /) -> None:
        """Handle a request other than ACK."""

    def ack_came(self, event: "AckArrived", /) -> None:
        """Handle the ACK of a 2xx of ours."""

    def earlier_answer_came(self, event: "EarlierAnswer", /) -> None:
        """Handle a 2xx to a re-INVITE that was given up, or is not known any more; it may be a repeated one."""
