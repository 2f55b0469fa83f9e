"""Drafts of requests that may have to be sent again with credentials.

Kept only where a peer may challenge (RFC 3261 section 22.2); any other request is kept as bytes.
"""

from typing import Final, NamedTuple

from msgspec.structs import replace

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.wire.outgoing import InviteParts

CHALLENGES: Final = frozenset({401, 407})


class InviteDraft(NamedTuple):
    """An INVITE; ``parts`` are those of the last transmission, as the caller asked for them."""

    parts: InviteParts
    max_forwards: int
    headers: str
    body: bytes
    is_fixed: bool = True
    """Whether the transport is set by the operator or the dialog, so that the size of the request cannot change it."""
    dialog: Dialog | None = None
    """The dialog of a re-INVITE."""
    rounds: int = 0
    """Number of challenges answered."""

    def again(self, via: str, counted: int) -> "InviteDraft":
        """Return the draft of the next request; outside a dialog ``counted`` is the last CSeq number used."""
        if self.dialog is None:
            parts = replace(self.parts, via=via, sequence=counted + 1)
        else:
            parts = self.dialog.invite_parts(via)
        return self._replace(parts=parts, rounds=self.rounds + 1)


class RequestDraft(NamedTuple):
    """Any other request; its dialog counts the CSeq numbers."""

    dialog: Dialog
    method: str
    headers: str
    body: bytes
    rounds: int = 0
    is_proven: bool = False
    """Whether it has credentials already."""
