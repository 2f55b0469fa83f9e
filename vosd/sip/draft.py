"""Drafts of requests that may have to be sent again with credentials.

Kept only where a peer may challenge (RFC 3261 section 22.2); any other request is kept as bytes.
"""

from typing import Final, Generic

import msgspec
from msgspec.structs import replace

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.forms import DialogT, PartsT, TextT
from vosd.sip.wire.outgoing import InviteParts

CHALLENGES: Final = frozenset({401, 407})


class InviteDraftState(msgspec.Struct, Generic[TextT, PartsT, DialogT], frozen=True, array_like=True):
    """An INVITE; ``parts`` are those of the last transmission, as the caller asked for them."""

    parts: PartsT
    max_forwards: int
    headers: TextT
    body: bytes
    is_fixed: bool = True
    """Whether the transport is set by the operator, so that the size of the request cannot change it."""
    dialog: DialogT | None = None
    """The dialog of a re-INVITE."""
    rounds: int = 0
    """Number of challenges answered."""


class InviteDraft(InviteDraftState[str, InviteParts, Dialog], frozen=True):
    """The draft of an INVITE of this process."""

    def again(self, via: str, counted: int) -> "InviteDraft":
        """Return the draft of the next request; outside a dialog ``counted`` is the last CSeq number used."""
        if self.dialog is None:
            parts = replace(self.parts, via=via, sequence=counted + 1)
        else:
            parts = self.dialog.invite_parts(via)
        return replace(self, parts=parts, rounds=self.rounds + 1)


class RequestDraftState(msgspec.Struct, Generic[TextT, DialogT], frozen=True, array_like=True):
    """Any other request; its dialog counts the CSeq numbers."""

    dialog: DialogT
    method: str
    headers: TextT
    body: bytes
    rounds: int = 0
    is_proven: bool = False
    """Whether it has credentials already."""
    is_fixed: bool = True
    """Whether its size cannot change its transport."""


class RequestDraft(RequestDraftState[str, Dialog], frozen=True):
    """The draft of another request of this process."""
