"""Figures of media, also of a switch that relays none."""

from collections.abc import Mapping

from vosd.engine.counting import Counting
from vosd.engine.media.keeper import MediaKeeper
from vosd.obs.figures import Figure


class MediaFigures(Counting):
    """Counts the legs and ports of a keeper; without one there are none."""

    def __init__(self, keeper: MediaKeeper | None) -> None:
        self._keeper = keeper

    def census(self) -> Mapping[Figure, int]:
        """Count legs and open ports."""
        legs, ports = (0, 0) if self._keeper is None else self._keeper.counted()
        return {Figure.MEDIA_LEGS: legs, Figure.MEDIA_PORTS: ports}
