"""Requests of ours before they are written: what it takes to write one again with proof of who we are.

Kept only where a peer may challenge: everywhere else a request is its bytes (RFC 3261 section 22.2).
"""

from typing import Final, NamedTuple

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.wire.compose import InviteParts

CHALLENGES: Final = frozenset({401, 407})


class InviteDraft(NamedTuple):
    """An INVITE; ``parts`` are those of its latest writing, as the caller wanted them."""

    parts: InviteParts
    max_forwards: int
    headers: str
    body: bytes
    is_fixed: bool = True
    """Whether the transport is the operator's, or the dialog's, and no size changes it."""
    dialog: Dialog | None = None
    """That of a re-INVITE."""
    rounds: int = 0
    """Challenges answered so far."""

    def again(self, via: str, counted: int) -> "InviteDraft":
        """Return the next writing, a new request; outside a dialog ``counted`` is the last number that was used."""
        if self.dialog is None:
            parts = self.parts._replace(via=via, sequence=counted + 1)
        else:
            parts = self.dialog.invite_parts(via)
        return self._replace(parts=parts, rounds=self.rounds + 1)


class RequestDraft(NamedTuple):
    """Any other request; its dialog counts its numbers."""

    dialog: Dialog
    method: str
    headers: str
    body: bytes
    rounds: int = 0
    is_proven: bool = False
    """Whether it has credentials already."""
