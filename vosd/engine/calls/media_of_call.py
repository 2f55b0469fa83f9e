"""The media of one live call: sounds, keys, silence, and addresses that may have no media."""

from typing import TYPE_CHECKING

import msgspec

from vosd.b2bua.boards import SoundOffer
from vosd.b2bua.leg import Leg
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.callcontrol.access import media_objection
from vosd.media.sounds import ANNOUNCEMENT_MS_MAX, GATEWAY_SOUND_MS_MAX
from vosd.obs.figures import Figure
from vosd.routing.access import AccessAction, AccessScope
from vosd.sdp.summary import hosts
from vosd.trunks.announcements import GatewaySound

if TYPE_CHECKING:
    from vosd.engine.calls.live_call import LiveCall


class MediaOfCall(msgspec.Struct, eq=False):
    """The ``MediaBoard`` of one call, until the call is over."""

    _live_call: "LiveCall"

    def announcement(self, reason: EndReason, now: Instant) -> SoundOffer | None:
        """Return what the caller is played before the call is refused for that reason; None = nothing."""
        media = self._live_call.services.media
        name = "" if media is None else media.sound_for(self._live_call.call.caller.dialect.announcements, reason)
        return self._offered(name, 1, ANNOUNCEMENT_MS_MAX, now) if name else None

    def gateway_sound(self, sound: GatewaySound, now: Instant) -> SoundOffer | None:
        """Return how the caller is played the sound of a routing gateway; None = it cannot be."""
        return self._offered(sound.name, sound.times, GATEWAY_SOUND_MS_MAX, now)

    def _offered(self, name: str, times: int, most_ms: int, now: Instant) -> SoundOffer | None:
        media, counted = self._live_call.services.media, self._live_call.services.notices.counted
        offer = None if media is None else media.offer_sound(self._live_call.call, name, times, most_ms, now)
        counted[Figure.ANNOUNCEMENTS_MISSED if offer is None else Figure.ANNOUNCEMENTS] += 1
        return offer

    def target_rings(self, session: bytes, now: Instant) -> None:
        """Report that the target of a transfer rings, with early media or without."""
        if self._live_call.services.media is not None:
            self._live_call.services.media.target_rings(self._live_call.call, session, now)

    def sound_over(self, now: Instant) -> None:
        """Play the caller nothing more."""
        if self._live_call.services.media is not None:
            self._live_call.services.media.sound_over(self._live_call.call, now)

    def is_media_blocked(self, session: bytes, before: bytes, now: Instant) -> bool:
        """Return whether a description of the caller has a new address that may have no media (``MediaBoard``).

        None has in a call to an emergency number.
        """
        admission = self._live_call.services.admission
        access = admission.catalogue.parameters.access
        if not access.judges_sdp or self._live_call.is_emergency:
            return False
        why = media_objection(hosts(session) - hosts(before), access, admission.live.country_of)
        if why:
            self._warn_of_media(why, now)
        return bool(why)

    def judged_source(self, host: str, now: Instant) -> AccessAction:
        """Return the treatment of media that come from an address; those of calls to emergency numbers are taken."""
        admission = self._live_call.services.admission
        if self._live_call.is_emergency:
            return AccessAction.ALLOW
        access = admission.catalogue.parameters.access
        decision = access.by_rules(AccessScope.RTP, host, admission.live.country_of)
        if decision is None:
            return AccessAction.ALLOW
        if decision.action is AccessAction.BLOCK:
            self._warn_of_media(f"media from {host}: {decision.why}", now)
        return decision.action

    def is_key_repeated(self, leg: Leg, key: str, duration_ms: int, now: Instant, *, by_info: bool) -> bool:
        """Return whether a key of a leg has just come by the other way, media or INFO; note it if not."""
        media = self._live_call.services.media
        return media is not None and media.keys.is_repeated(leg, key, duration_ms, now, by_info=by_info)

    def is_key_taken(self, leg: Leg, far: Leg, key: str, duration_ms: int) -> bool:
        """Send a key of an INFO in the media of the other leg, if that is its way; return whether it did."""
        media = self._live_call.services.media
        return media is not None and media.keys.is_key_taken(leg, far, key, duration_ms)

    def warn(self) -> None:
        """Warn the caller by a tone that the call is about to end, where its media allow that."""
        media, leg = self._live_call.services.media, self._live_call.call.caller.leg
        if media is not None and leg is not None:
            media.warn(leg)

    def silence(self, answered_at: Instant) -> Limit | None:
        """Return when silence of its media ends the call, if nothing more comes; None = it does not."""
        media = self._live_call.services.media
        return None if media is None else media.silence(self._live_call.call, answered_at)

    def _warn_of_media(self, why: str, now: Instant) -> None:
        """Warn of an address that may have no media of the call."""
        live_call, customer = self._live_call, self._live_call.customer
        account, name = ("", "") if customer is None else (customer.account, customer.name)
        source = live_call.call.arrival.source_address
        live_call.services.notices.access_refused(account, name, source, why, now)
