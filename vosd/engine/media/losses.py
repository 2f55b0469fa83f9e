"""Lost packets of the calls through each routing gateway in the last half hour."""

from collections import deque
from collections.abc import Iterator
from typing import Final

SLICE_MS: Final = 300_000
SLICES: Final = 6
PACKETS_MIN: Final = 3_000
"""Fewer packets, a minute of audio, say nothing about a gateway."""
GATEWAYS_MAX: Final = 5_000
"""Most gateways that are remembered; they are configured, and few."""


class MediaLosses:
    """Packets that gateways have sent, and those of them that were lost, by slices of five minutes."""

    def __init__(self) -> None:
        self._slices: dict[str, deque[tuple[int, int, int]]] = {}
        """Number of the slice, packets, lost ones; the latest last."""

    def note(self, gateway: str, expected: int, lost: int, mono_ms: int) -> None:
        """Note packets of a leg of a gateway that has ended, and the lost ones of them."""
        if not expected:
            return
        slices = self._slices.get(gateway)
        if slices is None:
            if len(self._slices) >= GATEWAYS_MAX:
                return
            slices = self._slices[gateway] = deque(maxlen=SLICES)
        number = mono_ms // SLICE_MS
        if slices and slices[-1][0] == number:
            _, before, lost_before = slices.pop()
            expected, lost = expected + before, lost + lost_before
        slices.append((number, expected, lost))

    def percents(self, mono_ms: int) -> Iterator[tuple[str, float | None]]:
        """Yield the percentage of each gateway; None where that says nothing."""
        oldest = mono_ms // SLICE_MS - SLICES + 1
        for gateway, slices in self._slices.items():
            recent = [each for each in slices if each[0] >= oldest]
            expected = sum(each[1] for each in recent)
            lost = sum(each[2] for each in recent)
            yield gateway, 100 * lost / expected if expected >= PACKETS_MIN else None
