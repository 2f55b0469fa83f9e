"""Keys (DTMF) from one way to another where the sides of a relayed call differ: telephone events, INFO, tones."""

from collections.abc import Sequence
from typing import Final

from vosd.b2bua.information import KeyMessages
from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.media.g711 import PAYLOADS
from vosd.media.keys import EVENT_NAME, FLASH, REPEATED_MS
from vosd.media.leg_media import LegMedia
from vosd.media.relay import MediaRelay
from vosd.media.source import RelayPort
from vosd.sdp.media import Medium, audio_place, names_flash
from vosd.sdp.security import has_keys
from vosd.trunks.media import KeyWay

_AUTO, _EVENTS, _INFO, _TONES = KeyWay  # access to enum members is slow
_CONVERTED: Final = (_INFO, _TONES)
"""Ways to a leg by which no events go: they are taken out of the media of the other one, where they arrive so."""
_READ_FROM_TONES: Final = (_INFO, _EVENTS)
"""Ways to a leg for which tones of the other one are read."""
_IN_MEDIA: Final = (_EVENTS, _TONES)


class KeyConversion:
    """Keys of all relayed calls."""

    def __init__(self, relay: MediaRelay | None) -> None:
        """``relay`` converts; None = nothing does, as with rtpengines."""
        self._relay = relay
        self._legs: dict[int, Leg] = {}
        """Legs whose keys are reported, by their ports."""
        self._messages: dict[int, KeyMessages] = {}
        """Keys on their way as INFO, by the number of the leg that is sent them."""

    def wants_events(self, author: LegMedia, reader: LegMedia, described: Sequence[Medium]) -> bool:
        """Return whether the description of an author is given events: it has keys by another way than its reader."""
        way = author.settings.dtmf
        if self._relay is None or reader.settings.dtmf in _CONVERTED:
            return False
        if way is not _TONES or not described:
            return way is _INFO
        return not PAYLOADS.keys().isdisjoint(described[audio_place(described)].payloads)

    def arrange(self, one: Leg, other: Leg) -> None:
        """Have keys reported that come in the media of two legs which were connected, where that matters.

        Keys in media that the parties encrypt are theirs alone.
        """
        if self._relay is None:
            return
        for leg, far in ((one, other), (other, one)):
            media, theirs = leg.facts.media, far.facts.media
            if media is None or theirs is None:
                continue
            if leg.route_choice is None:
                inviter = leg.call.caller.inviter
                # a newcomer (INVITE with Replaces) takes the place of a side as soon as it is answered
                may_transfer = inviter is None or inviter.leg is not leg or inviter.dialect.transfer_keys is not None
            else:
                is_customer = leg.route_choice.gateway.is_phone
                may_transfer = is_customer and leg.call.conversation.has_transfer_keys(leg)
            is_usual = theirs.settings.dtmf is _AUTO and not may_transfer
            if is_usual and not self._legs:
                continue
            port = media.audio_port
            if port is None or port.id < 0:
                continue
            if not is_usual and not are_encrypted(one, other):
                self._report_keys(self._relay, leg, media, theirs, port, may_transfer=may_transfer)
            elif port.id in self._legs:
                self._relay.report_keys(port, are_reported=False)

    def _report_keys(
        self, relay: MediaRelay, leg: Leg, media: LegMedia, theirs: LegMedia, port: RelayPort, *, may_transfer: bool
    ) -> None:
        """Have keys that come at the port of a leg reported; those that the other leg has by another way are taken."""
        has_tones, way = media.settings.dtmf is _TONES, theirs.settings.dtmf
        are_converted = has_tones and way in _READ_FROM_TONES and _takes(theirs, media)
        in_tones = are_converted or (has_tones and may_transfer)
        are_taken = are_converted or (way in _CONVERTED and _takes(theirs, media))
        are_reported = are_taken or way is _EVENTS or may_transfer
        if are_reported:
            self._legs[port.id] = leg
        relay.report_keys(port, are_reported=are_reported, are_taken=are_taken, in_tones=in_tones)

    def forget(self, media: LegMedia) -> None:
        """Forget a leg that has ended, while its ports are known."""
        self._messages.pop(media.number, None)
        if self._legs:
            for port in filter(None, media.ports):
                self._legs.pop(port.id, None)

    def leave(self, port: RelayPort) -> None:
        """Forget a port that its leg has another one for now."""
        self._legs.pop(port.id, None)

    def leg_at(self, port: int) -> Leg | None:
        """Return the leg that has a port of the relay."""
        return self._legs.get(port)

    def is_repeated(self, leg: Leg, key: str, duration_ms: int, now: Instant, *, by_info: bool) -> bool:
        """Return whether a key of a leg has just come by the other way; note it if not.

        A key in the media is reported at its end, after ``duration_ms``; its INFO may have come when it was pressed.
        """
        media = leg.facts.media
        if self._relay is None or media is None:
            return False
        last, begun_ms = media.last_key, now.mono - duration_ms
        if last is not None and last[0] == key and last[2] is not by_info and begun_ms - last[1] <= REPEATED_MS:
            media.last_key = None
            return True
        media.last_key = (key, now.mono, by_info)
        return False

    def is_key_taken(self, leg: Leg, far: Leg, key: str, duration_ms: int) -> bool:
        """Send a key of an INFO in the media of the other leg, if that is its way; return whether it did.

        The relay leaves out an event that passes in the media as well (``PeerSender.press``).
        """
        media, theirs = leg.facts.media, far.facts.media
        port = None if theirs is None else theirs.audio_port
        if self._relay is None or media is None or theirs is None or port is None or port.id < 0:
            return False
        way = theirs.settings.dtmf
        if way not in _IN_MEDIA or not _takes(theirs, media) or are_encrypted(leg, far):
            return False
        if key == FLASH and not _takes_flash(far):
            return False
        self._relay.press(port, key, duration_ms, as_tone=way is _TONES)
        return True

    def send_key(self, leg: Leg, far: Leg, key: str, duration_ms: int, now: Instant) -> None:
        """Send a key that came in the media of a leg to the other one, unless the media have it already."""
        media, theirs = leg.facts.media, far.facts.media
        if media is None or theirs is None:
            return
        port = theirs.audio_port
        if key == FLASH and theirs.settings.dtmf is not _INFO and not _takes_flash(far):
            return
        if theirs.settings.dtmf is _INFO:
            messages = self._messages.get(theirs.number)
            if messages is None:
                messages = self._messages[theirs.number] = KeyMessages(far)
            messages.send(key, duration_ms, now)
        elif port is None or self._relay is None:
            return
        elif theirs.settings.dtmf is _TONES and _takes(theirs, media):  # else the event has passed
            self._relay.press(port, key, duration_ms, as_tone=True)
        elif theirs.settings.dtmf is _EVENTS and media.settings.dtmf is _TONES:
            self._relay.press(port, key, duration_ms)  # events of this leg are taken as well as its tones


def are_encrypted(one: Leg, other: Leg) -> bool:
    """Return whether media between two legs are encrypted by the parties: the relay has no keys.

    Both sides of a call that was picked up have made an offer, perhaps with keys, and got an answer without any.
    """
    if not (has_keys(bytes(one.sessions.remote)) and has_keys(bytes(other.sessions.remote))):
        return False
    return has_keys(bytes(one.sessions.said)) or has_keys(bytes(other.sessions.said))


def _takes(media: LegMedia, other: LegMedia) -> bool:
    """Return whether keys of the other leg can be sent to a leg by its way: as tones only where both have G.711."""
    way = media.settings.dtmf
    if way is _INFO:
        return True
    source, sender = media.audio_source, other.audio_source
    if source is None or sender is None:
        return False
    payloads, _, codecs = source.taken()
    if way is _EVENTS:
        return EVENT_NAME in map(str.lower, codecs)
    return way is _TONES and not PAYLOADS.keys().isdisjoint(set(payloads).intersection(sender.taken()[0]))


def _takes_flash(leg: Leg) -> bool:
    """Return whether a leg is sent a flash in its media: it has named that event, and no tone is one."""
    media = leg.facts.media
    return media is not None and media.settings.dtmf is _EVENTS and names_flash(bytes(leg.sessions.remote))
