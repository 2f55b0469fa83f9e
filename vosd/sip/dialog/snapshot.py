"""Dialogs as data, and what another process needs to end an INVITE without a final response.

Sockets are named, and a login is named by its gateway. Text of peers is kept as bytes, because it need not be UTF-8.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from vosd.base.nat import Nat
from vosd.sip.device import Device
from vosd.sip.dialog.dialog import Dialog, DialogState
from vosd.sip.digest.answer import Answers, Challenge, ChallengeState
from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.compose import encode
from vosd.sip.wire.outgoing import InviteParts, Peer, ResponseStem

COUNTED_SINCE: Final = 1 << 16
"""Growth of the CSeq of a dialog since its snapshot, at most; numbers may be left out (RFC 3261 12.2.2)."""

AnswersOf = Callable[[str], Answers | None]
"""Returns the answers to the challenges of a gateway, by its name; None where there is no login."""


class PeerSnapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The source address of a peer, and our socket."""

    socket: str
    host: str
    port: int

    @classmethod
    def of(cls, peer: Peer, flows: Flows) -> "PeerSnapshot":
        """Describe a peer."""
        return cls(flows.name_of(peer.flow), peer.host, peer.port)

    def restored(self, flows: Flows) -> Peer:
        """Return the peer; where there is no such socket any more, another one that fits the address is used."""
        flow = flows.named(self.socket)
        if flow is None:
            flow = flows.towards(self.host, self.socket.partition(":")[0])
        return Peer(flow, self.host, self.port)


class AnsweredChallenge(ChallengeState[bytes], frozen=True):
    """A challenge of a peer, and how many requests have answered it."""

    answered: int

    @classmethod
    def all_of(cls, answers: Answers | None) -> "tuple[AnsweredChallenge, ...]":
        """Describe the challenges that requests to a peer answer."""
        asked = () if answers is None else answers.asked()
        return tuple(in_form(cls, challenge, answered=answered) for challenge, answered in asked)

    def restored(self) -> tuple[Challenge, int]:
        """Return the challenge, and how many requests have answered it."""
        return in_form(Challenge, self), self.answered


class DialogSnapshot(DialogState[bytes, PeerSnapshot], gc=False):
    """A dialog as the journal has it.

    The fields with defaults are absent from journals of earlier versions, which kept what a BYE needs and no more.
    """

    gateway: str = ""
    """The gateway whose login answers a challenge; empty where there is none."""
    invite_sequence: int = 0
    """CSeq of our INVITE, whose 2xx may have no ACK yet; 0 = the INVITE was the peer's."""
    remote_sequence: int = -1
    nat: Nat = Nat.NO
    user: str = ""
    asked: tuple[AnsweredChallenge, ...] = ()
    device: Device | None = None
    is_guessed: bool = False
    """Whether the address may be that of another device of the user."""
    server_name: str = ""
    has_left_contact: bool = False

    @classmethod
    def of(cls, dialog: Dialog, flows: Flows, gateway: str = "", invite_sequence: int = 0) -> "DialogSnapshot":
        """Describe a dialog as it stands."""
        # Every answered call is described twice: what is written here without a function is ``encode`` and ``of``.
        peer, answers = dialog.seen_at, dialog.answers
        return cls(
            dialog.call_id.encode("utf-8", "surrogateescape"),
            dialog.local.encode("utf-8", "surrogateescape"),
            dialog.remote.encode("utf-8", "surrogateescape"),
            dialog.target.encode("utf-8", "surrogateescape"),
            tuple(map(encode, dialog.routes)) if dialog.routes else (),
            dialog.local_sequence,
            PeerSnapshot(flows.name_of(peer.flow), peer.host, peer.port),
            dialog.is_behind_nat,
            gateway,
            invite_sequence,
            dialog.remote_sequence,
            dialog.nat,
            dialog.user,
            () if answers is None else AnsweredChallenge.all_of(answers),
            dialog.device,
            peer == dialog.guessed_at,
            dialog.server_name,
            dialog.has_left_contact,
        )

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return tag_of(text_of(self.local))

    def restored(self, flows: Flows, answers: Answers | None) -> Dialog:
        """Return the dialog as it stood: its next request has the next number."""
        seen_at = self.seen_at.restored(flows)
        return in_form(
            Dialog,
            self,
            routes=tuple(map(text_of, self.routes)),
            seen_at=seen_at,
            guessed_at=seen_at if self.is_guessed else None,
            local_tag=self.local_tag,
            remote_tag=tag_of(text_of(self.remote)),
            next_hop_of=flows.next_hop,
            answers=answers,
        )

    def to_hang_up(self, flows: Flows, answers_of: AnswersOf) -> Dialog:
        """Return a dialog for a BYE, long after the snapshot: its CSeq is above all that were used since."""
        dialog = self.restored(flows, answers_of(self.gateway))
        dialog.local_sequence += COUNTED_SINCE
        return dialog


class InviteSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An INVITE of ours that has no final response yet."""

    uri: bytes
    via: bytes
    from_: bytes
    to: bytes
    call_id: bytes
    sequence: int
    peer: PeerSnapshot
    route: bytes
    is_behind_nat: bool
    gateway: str = ""
    user: str = ""
    device: Device | None = None
    server_name: str = ""

    @classmethod
    def of(cls, parts: InviteParts, flows: Flows, gateway: str = "") -> "InviteSnapshot":
        """Describe an INVITE as it was sent."""
        return cls(
            encode(parts.uri),
            encode(parts.via),
            encode(parts.from_),
            encode(parts.to),
            encode(parts.call_id),
            parts.sequence,
            PeerSnapshot.of(parts.peer, flows),
            encode(parts.route),
            parts.nat is not Nat.NO,
            gateway,
            parts.user,
            parts.device,
            parts.server_name,
        )

    def restored(self, flows: Flows, answers_of: AnswersOf) -> InviteParts:
        """Return the parts that its CANCEL, and the ACK of its final response, repeat."""
        return InviteParts(
            uri=text_of(self.uri),
            via=text_of(self.via),
            from_=text_of(self.from_),
            to=text_of(self.to),
            call_id=text_of(self.call_id),
            sequence=self.sequence,
            peer=self.peer.restored(flows),
            route=text_of(self.route),
            answers=answers_of(self.gateway),
            nat=Nat.AUTO if self.is_behind_nat else Nat.NO,
            user=self.user,
            device=self.device,
            server_name=self.server_name,
        )


class CallerSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An INVITE of a peer that has no final response yet."""

    key: bytes
    """The key of its transaction."""
    up_to_tag: bytes
    after_tag: bytes
    tagged: bool
    cseq: bytes
    tag: str
    """Our tag."""
    peer: PeerSnapshot
    spare: PeerSnapshot | None
    server_name: str = ""

    @classmethod
    def of(cls, transaction: InviteServer, tag: str, flows: Flows) -> "CallerSnapshot":
        """Describe what responses to an INVITE repeat of it."""
        stem = transaction.stem
        return cls(
            encode(transaction.key),
            stem.up_to_tag,
            stem.after_tag,
            stem.tagged,
            encode(stem.cseq),
            tag,
            PeerSnapshot.of(stem.peer, flows),
            None if stem.spare is None else PeerSnapshot.of(stem.spare, flows),
            transaction.server_name,
        )

    def restored(self, flows: Flows) -> tuple[str, ResponseStem]:
        """Return the key of the transaction and the stem of its final response."""
        stem = ResponseStem(
            up_to_tag=self.up_to_tag,
            after_tag=self.after_tag,
            peer=self.peer.restored(flows),
            tagged=self.tagged,
            cseq=text_of(self.cseq),
            spare=None if self.spare is None else self.spare.restored(flows),
        )
        return text_of(self.key), stem


def text_of(raw: bytes) -> str:
    """Return text as it was before ``encode``."""
    return raw.decode("utf-8", "surrogateescape")
