"""The forks of an INVITE of ours: what each has sent, and whose media the caller gets."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.leg_facts import LegSessions
from vosd.b2bua.outgoing.invitation import Invitation
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.flows import Flows
from vosd.sip.nat import is_behind_nat
from vosd.sip.transaction.client import InviteClient
from vosd.sip.wire.message import Message, Response
from vosd.sip.wire.outgoing import Peer

EARLY_MAX = 16
"""Most early dialogs of one INVITE; a gateway hardly rings more phones at once."""


class Pracking(NamedTuple):
    """An offer in a reliable response: its PRACK waits for the caller's answer."""

    dialog: Dialog
    rack: str


class EarlyDialogs(msgspec.Struct, eq=False):
    """An INVITE without a final response, and the forks that it has reached; all by remote tag."""

    flows: Flows
    tag: str
    """Ours."""
    peer: Peer
    """Peer that the INVITE was sent to."""
    transaction: InviteClient
    progress: AttemptProgress
    invitation: Invitation | None = None
    """The INVITE, which may have to be sent again."""
    dialogs: dict[str, Dialog] = {}
    unread: dict[str, Response] = {}
    """The first responses of forks whose dialogs nothing has needed yet."""
    rseqs: dict[str, int] = {}
    """The latest RSeq of each fork that sends reliable responses."""
    sessions: dict[str, LegSessions] = {}
    """The session descriptions of each fork that has sent one: each fork agrees on a session by itself."""
    pracking: Pracking | None = None
    speaker: str | None = None
    """Tag of the fork whose session the caller was sent; its descriptions are those of the leg."""
    offered: bytes = b""
    """Session description in the INVITE, which each fork has been sent."""
    settled: set[str] = set()
    """Tags of the forks with which offer and answer were exchanged."""
    held_back: set[str] = set()
    """Tags of the forks whose session the caller is not sent before they open it (P-Early-Media)."""
    changed: set[str] = set()
    """Tags of the forks whose session an UPDATE has changed: later responses to the INVITE do not describe it."""

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """The dialogs of all forks; those of unreliable responses are made now."""
        dialogs = self.dialogs
        for tag, response in self.unread.items():
            if tag not in dialogs and len(dialogs) < EARLY_MAX:
                dialogs[tag] = self.dialog_of(response)
        self.unread.clear()
        return dialogs

    @property
    def awaits_answer(self) -> bool:
        """Whether the caller was sent the offer of a fork, and its answer is missing."""
        pracking = self.pracking
        return pracking is not None and pracking.dialog.remote_tag not in self.held_back

    @property
    def agreed(self) -> Dialog | None:
        """The dialog in which offer and answer have gone through, if there is one."""
        return self.dialogs.get(self.speaker) if self.speaker is not None and self.progress.is_settled else None

    @property
    def speaking(self) -> Dialog | None:
        """The dialog of the fork whose session the caller was sent, else of the latest one; None before any 18x."""
        forks = self.forks
        return forks.get(self.speaker or "") or next(reversed(list(forks.values())), None)

    @property
    def host(self) -> str:
        """Address that packets of the gateway come from."""
        agreed = self.agreed
        if agreed is not None:
            return agreed.seen_at.host
        sent = self.transaction  # a telephone may have registered over another connection since
        return sent.parts.peer.host if sent.is_live else self.peer.host

    def sessions_of(self, tag: str) -> LegSessions:
        """Return the session descriptions of a fork, to be changed."""
        return self.sessions.setdefault(tag, LegSessions(said=self.offered))

    def dialog_of(self, response: Response) -> Dialog:
        """Make the dialog of the fork that a response comes from."""
        return Dialog.of_callee(self.transaction.parts, self.tag, response, self.flows.next_hop)

    def host_behind_nat(self, message: Message) -> str:
        """Return the address that a message of the gateway came from if it is behind NAT, else nothing."""
        agreed = self.agreed
        if agreed is not None:
            return agreed.seen_at.host if agreed.is_behind_nat else ""
        peer = self.transaction.parts.peer if self.transaction.is_live else self.peer
        return peer.host if is_behind_nat(self.transaction.parts.nat, message, peer) else ""
