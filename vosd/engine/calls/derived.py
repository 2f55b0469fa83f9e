"""An established call as a saved one: what its description leaves out is derived from its record and the catalogue."""

import dataclasses
from typing import Final

from vosd.b2bua.identity import PLAIN
from vosd.b2bua.lifetime import Granted
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.snapshot.call import CallPartsSnapshot, JourneySnapshot
from vosd.b2bua.snapshot.callee import CalleeLegSnapshot, ChoiceSnapshot
from vosd.b2bua.snapshot.leg import CallerLegSnapshot, LegSnapshot
from vosd.b2bua.snapshot.requests import SupervisionSnapshot
from vosd.b2bua.snapshot.session import SessionSnapshot, identity_as_bytes
from vosd.b2bua.stamps import Arrival, JourneyFacts
from vosd.b2bua.states import CallState
from vosd.base.clock import Instant
from vosd.billing.free_numbers import free_rate
from vosd.callcontrol.bookkeeping import radius_classes_of
from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.columns import RECORD_COLUMNS
from vosd.cdr.kinds import ColumnKind
from vosd.engine.calls.established import Established
from vosd.engine.calls.known import KnownObjects
from vosd.engine.calls.request_snapshot import RequestSnapshot
from vosd.engine.calls.saved import SavedCall
from vosd.media.leg_media import LegMedia
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.dialog.snapshot import DialogSnapshot
from vosd.trunks.dialect import CallerPrivacy, Reliability
from vosd.trunks.gateways import Address

_COLUMNS: Final = {column.name: column.kind for column in RECORD_COLUMNS}
_OF_INVITE: Final = tuple(name for name in Arrival.__struct_fields__ if name != "at")
"""Facts of the INVITE: each has the column of its name."""
_DESCRIBED: Final = frozenset({"codec", "vendor_codec", "reason_text"})
"""Known later than the record of an answer: the codecs are in ``Established``, the text comes with the end."""
_KEPT_FACTS: Final = tuple(
    name
    for name in JourneyFacts.__struct_fields__
    if name not in _DESCRIBED and _COLUMNS.get(name, ColumnKind.TIME) is not ColumnKind.TIME
)
"""Facts of the journey that the record has unchanged; instants are derived from its times."""


class EstablishedCall:
    """One established call, as the journal has it."""

    def __init__(self, call: OpenCall, known: KnownObjects, settings: CallSettings, shift_ms: int) -> None:
        """Read a call whose description has instants that are to be moved by ``shift_ms``.

        Raises:
            msgspec.DecodeError: its description is not readable.
        """
        self._call = call
        self._its = Established.read(call.established)
        self._known = known
        self._settings = settings
        self._shift_ms = shift_ms

    def as_saved(self) -> SavedCall:
        """Return the call as it is described otherwise; what can be derived comes from its record and the catalogue.

        Its text is as it was received, not as it is written.

        The caller's leg has not sent its 200 yet where this was written before: see ``engine.calls.resumption``.

        Raises:
            KeyError: its trunk, gateway or account is not known.
        """
        call, its, known = self._call, self._its, self._known
        record = call.record
        epoch = (record.answered_at or 0) - call.answered_mono
        answered_at = Instant(call.answered_mono, epoch + call.answered_mono)
        mapping = known.mapping_gateways[record.mapping_gateway or ""]
        gateway = known.called[record.routing_gateway or ""]
        account = known.accounts[record.customer_account or ""]
        rate = call.customer_rate or free_rate("", account, known.parameters.free_policy)
        at = Instant(record.started_at - epoch, record.started_at)
        to_callee, to_caller = call.legs[0], call.legs[1]
        vendor_mono = call.vendor_answered_mono or call.answered_mono
        vendor_answered_at = Instant(vendor_mono, epoch + vendor_mono)
        invited_at, vendor_invited_at = (
            None if mono is None else Instant(mono, epoch + mono) for mono in call.charged_mono or (None, None)
        )
        choice = ChoiceSnapshot(
            gateway.name, its.prefix, _bytes(record.callee_out), _bytes(record.caller_out), call.vendor_rate, False,
            limits=its.limits, routing_number=record.routing_number or "", hides_caller=bool(record.caller_hidden),
        )  # fmt: skip
        parts = CallPartsSnapshot(
            arrival=Arrival(at=at, **{name: getattr(record, name) for name in _OF_INVITE}),
            hops=its.hops,
            state=CallState.TALKING,
            settings=dataclasses.replace(self._settings, dead_call_billing=its.dead_call_billing),
            journey=JourneySnapshot(
                ringing_at=_instant(record.ringing_at, epoch),
                vendor_answered_at=vendor_answered_at,
                answered_at=answered_at,
                acknowledged_at=_instant_of(its.acknowledged_mono, self._shift_ms, epoch),
                progress_at=answered_at if record.pdd_ms is None else at.plus(record.pdd_ms),
                codec=its.codec,
                vendor_codec=its.vendor_codec,
                invited_at=invited_at,
                vendor_invited_at=vendor_invited_at,
                recording=its.recording,
                **{name: getattr(record, name) for name in _KEPT_FACTS},
                attempts=record.attempts,
                choice=choice,
                sip_call_ids_out=() if record.sip_call_id_out is None else (record.sip_call_id_out,),
            ),
            caller=self._caller(to_caller, answered_at),
            callee=self._callee(
                to_callee, choice, vendor_answered_at, record.attempts[-1].ms if record.attempts else 0
            ),
            lifetime=Granted(answered_at, its.granted_s, 0, invited_at, mapping.dialect.end_warning_ms),
        )
        request = RequestSnapshot(
            source_host=its.host,
            source_port=its.port,
            hops=its.hops,
            at=at,
            user=its.user,
            caller_in=record.caller_in or "",
            caller=its.caller,
            callee_in=record.callee_in or "",
            callee=its.callee,
            callee_billing=record.callee_billing or "",
            mapping=mapping.name,
            account=account.id,
            rate=rate,
            taken=its.taken,
            ceiling_s=its.ceiling_s,
            routing_number=record.routing_number or "",
            caller_privacy=CallerPrivacy.of_word(record.caller_privacy),
            leaves_no_cdr=call.leaves_no_cdr,
            longest_s=its.longest_s,
            interim_s=its.interim_s,
            radius_classes=radius_classes_of(record),
            agents=call.agents,
        )
        return SavedCall(parts, request, call.alone, is_portable=False)

    def _caller(self, dialog: DialogSnapshot, at: Instant) -> CallerLegSnapshot:
        its = self._its
        caller, callee = _number(its.caller_media), _number(its.callee_media)
        offer = SessionSnapshot(its.offer, its.offer_from, caller)
        session = offer if its.session is None else SessionSnapshot(its.session, its.offer_from, caller)
        return CallerLegSnapshot(
            leg=LegSnapshot(
                timer=SessionTimer(its.caller_timer, its.caller_agreed, at),
                dialog=dialog,
                remote_session=session,
                said=SessionSnapshot(its.said_to_caller, author=callee if its.said_to_caller else 0),
                given_up=SessionSnapshot(its.caller_given_up),
                refused=SessionSnapshot(its.caller_refused),
                media=its.caller_media,
                allows_update=its.caller_updates,
                is_anonymous=its.caller_is_anonymous,
                is_confirmed=True,
                last_seen_at=at,
                supervision=SupervisionSnapshot(began_at=at) if its.is_sent else None,
            ),
            invite_sequence=its.invite_sequence,
            wish=its.wish,
            reliability=Reliability.OFF,
            identity=identity_as_bytes(its.identity or PLAIN),
            offer=offer,
            final=200 if its.is_sent else None,
            is_answered=its.is_sent,
            is_settled=its.caller_is_settled,
        )

    def _callee(self, dialog: DialogSnapshot, choice: ChoiceSnapshot, at: Instant, took_ms: int) -> CalleeLegSnapshot:
        its = self._its
        caller, callee = _number(its.caller_media), _number(its.callee_media)
        answer, peer = SessionSnapshot(its.answer, its.answer_from, callee), dialog.seen_at
        said = SessionSnapshot(its.offer if its.said_to_callee is None else its.said_to_callee, author=caller)
        return CalleeLegSnapshot(
            leg=LegSnapshot(
                timer=SessionTimer(its.callee_timer, its.callee_agreed, at, its.floor_s, its.offered_s),
                dialog=dialog,
                remote_session=answer,
                said=said,
                given_up=SessionSnapshot(its.callee_given_up),
                refused=SessionSnapshot(its.callee_refused),
                media=its.callee_media,
                allows_update=its.callee_updates,
                is_anonymous=its.callee_is_anonymous,
                is_confirmed=True,
                last_seen_at=at,
                supervision=SupervisionSnapshot(began_at=at),
            ),
            choice=choice,
            peer=peer,
            address=Address(peer.host, peer.port),
            started_at=at.plus(-took_ms),
            invite=its.invite,
            rang=True,
            rang_at=at,
            answer=answer,
            is_settled=its.callee_is_settled,
            acknowledged=its.invite is None,
        )


def _bytes(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "surrogateescape")


def _instant(wall: int | None, epoch: int) -> Instant | None:
    return None if wall is None else Instant(wall - epoch, wall)


def _instant_of(mono: int | None, shift_ms: int, epoch: int) -> Instant | None:
    return None if mono is None else Instant(mono + shift_ms, epoch + mono + shift_ms)


def _number(media: LegMedia | None) -> int:
    """Return the number by which a leg is named as the author of its descriptions."""
    return 0 if media is None else media.number
