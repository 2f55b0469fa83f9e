"""Engines that relay media: those that a configuration wants, from start to stop."""

import hashlib
import socket

from vosd.base.clock import Clock
from vosd.config.load import Loaded
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.engine.settings import Settings
from vosd.engine.tokens import TokenSource
from vosd.obs.events import log as _log
from vosd.relay.client import Relay, has_left_workers
from vosd.rtpengine.client import RtpEngines
from vosd.trunks.media import MediaEngine, MediaFallback, MediaOffload


class MediaEngineParts:
    """The relay of the switch, and its side of the rtpengines."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        settings, parameters = loaded.settings, loaded.catalogue.parameters.media
        engine = settings.media.engine
        is_pool = engine is MediaEngine.RTPENGINE
        needs_relay = settings.media.fallback is MediaFallback.RELAY if is_pool else engine is MediaEngine.RELAY
        self.is_for_earlier_calls = engine is MediaEngine.NONE and has_left_workers(settings.state_dir)
        """Whether the relay serves calls of the run before alone, until they end: there is no engine any more."""
        self.relay: Relay | None = None
        """None = the switch relays nothing itself."""
        if needs_relay or self.is_for_earlier_calls:
            are_offloaded = settings.media.offload is MediaOffload.AUTO
            self.relay = Relay(
                settings.state_dir, settings.media.workers, TokenSource().entropy, are_offloaded=are_offloaded
            )
        self.at_rtpengines: RtpEngineCalls | None = None
        """None = there are no rtpengines."""
        self._pool: RtpEngines | None = None
        if is_pool:
            prefix = calls_prefix(settings)
            self._pool = RtpEngines(parameters.rtpengines, prefix=prefix)
            self.at_rtpengines = RtpEngineCalls(self._pool, prefix, clock)

    async def start(self) -> None:
        """Start the workers of the relay."""
        if self.relay is not None:
            await self.relay.start()
            if self.is_for_earlier_calls:
                _log.info("media_relay_goes_on", ports=len(self.relay.ports))

    def give_orders(self) -> None:
        """Give the workers their orders of this turn, before the messages leave by which peers begin to send."""
        if self.relay is not None:
            for link in self.relay.links:
                link.flush_due()

    async def stop(self, *, keep: bool) -> None:
        """Stop them, unless calls go on in the next process; ask rtpengines nothing more."""
        if self.relay is not None:
            is_idle = self.is_for_earlier_calls and not self.relay.ports
            await self.relay.stop(keep=keep and not is_idle)
        if self._pool is not None:
            self._pool.close()


def calls_prefix(settings: Settings) -> str:
    """Return the beginning of the names of this installation's calls at rtpengines.

    It is the same after a restart, and another one on every other machine and for every other state directory: a
    switch ends what is left over of its own calls, and several switches may share a pool.
    """
    place = f"{socket.gethostname()}:{settings.state_dir.absolute()}"
    return f"vosd-{hashlib.sha256(place.encode()).hexdigest()[:12]}-"
