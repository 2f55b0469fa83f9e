"""Figures of media, also of a switch that relays none."""

from collections.abc import Mapping

from vosd.engine.counting import Counting
from vosd.engine.media.switch_media import SwitchMedia
from vosd.obs.figures import Figure


class MediaFigures(Counting):
    """Counts the legs and ports of media; a switch that relays none has none."""

    def __init__(self, media: SwitchMedia | None) -> None:
        self._media = media

    def census(self) -> Mapping[Figure, int]:
        """Count legs and open ports."""
        legs, ports = (0, 0) if self._media is None else self._media.counted()
        return {Figure.MEDIA_LEGS: legs, Figure.MEDIA_PORTS: ports}
