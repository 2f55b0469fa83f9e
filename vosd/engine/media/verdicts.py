"""Verdicts of the doorkeeper of media on messages whose descriptions their legs cannot be sent."""

from typing import Final

from vosd.b2bua.outgoing.headers import SDP
from vosd.media.leg_media import LegMedia, MediaRefusal
from vosd.sdp.media import SessionFault
from vosd.sip.door.door import MessageChange, MessageWait
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingInvite,
    OutgoingReinvite,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)

_WITHHELD: Final = MessageWait(0, may_leave=False)


def unfit(
    message: Outgoing, media: LegMedia, refusal: MediaRefusal, fault: SessionFault | None = None
) -> MessageChange | MessageWait:
    """Withhold a message whose description the leg cannot be sent; those that must leave go without it.

    ``fault`` is that of a description that cannot be relayed.
    """
    media.refuse(refusal, fault)
    if isinstance(message, OutgoingInvite | OutgoingReinvite | OutgoingSuccess | OutgoingAck):
        return _WITHHELD
    if isinstance(message, OutgoingRequest) and message.transaction.owner is not None:
        return _WITHHELD
    if isinstance(message, OutgoingResponse) and message.is_answer:
        return _WITHHELD
    return without_session(message)


def without_session(message: Outgoing) -> MessageChange:
    """Let a message leave without its description."""
    return MessageChange(headers=message.headers.replace(SDP, ""), body=b"")
