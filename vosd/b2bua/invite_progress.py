"""Progress of the INVITE of a caller, as the journal keeps it."""

from typing import NamedTuple

import msgspec

from vosd.b2bua.leg_facts import LegSessions
from vosd.sip.dialog.session_wish import Wish
from vosd.trunks.dialect import Reliability


class ShownFork(NamedTuple):
    """An early dialog that the caller has with a fork of the callee, while another fork is current."""

    tag: str
    """Ours, by which the caller knows the fork."""
    remote_sequence: int
    sessions: LegSessions
    is_settled: bool


class Newcomer(NamedTuple):
    """Sender of an INVITE with Replaces (RFC 3891): another one than the call was made by."""

    trunk: str
    """Name of its mapping gateway, or its number as a phone."""
    host: str
    port: int
    interim_s: int | None = None
    """Interval of Interim-Updates, and values of Class, by the server that has judged its password (``SetupFacts``)."""
    radius_classes: tuple[bytes, ...] = ()
    longest_s: int | None = None
    """Longest call in seconds, by that server."""


class InviteProgress(msgspec.Struct, omit_defaults=True):
    """Facts of a caller's INVITE: a field of it is written to snapshots and read from them without another line."""

    invite_sequence: int
    """The CSeq number of the INVITE."""
    wish: Wish
    """Session timer that the INVITE asks for."""
    reliability: Reliability
    """Whether the caller supports reliable provisional responses, and its trunk allows or wants them."""
    final: int | None = None
    """Final status sent to the caller: not always 200 when the gateway has answered."""
    is_answered: bool = False
    """Whether it was sent a final response."""
    is_settled: bool = False
    """Whether offer and answer were exchanged before the 200 (RFC 3262 section 5)."""
    has_referred: bool = False
    """Whether this side has sent a REFER before."""
    rseq: int = 0
    """Number of the latest reliable response."""
    is_of_last_attempt: bool = False
    """Whether the response that waits for its PRACK was sent for a gateway that was given up (RFC 3262 section 4)."""
    last_tag: str | None = None
    """Our tag of the previous attempt, as long as its PRACK may come."""
    resumed_sequence: int | None = None
    """The CSeq number of the caller in the current dialog, once that PRACK has come; None = that of the INVITE."""
    sent_early_media: bool = False
    has_ring_back: bool = False
    """Whether the caller has the description of a ring-back of the switch in the current early dialog."""
    valid_s: int | None = None
    """The Expires header of the INVITE, in seconds; None = it has none, or one that no call reaches."""
    identity_status: int = 0
    """Code of RFC 8224 for its signature, which the next response has; 0 = nothing is wrong, or it was sent."""
    newcomer: Newcomer | None = None
    """Sender of an INVITE with Replaces; None = the one that made the call."""
