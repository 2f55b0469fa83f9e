"""The part of a leg in the media of its call, as the journal keeps it."""

import msgspec

from vosd.media.source import RelayPort


class LegMedia(msgspec.Struct, omit_defaults=True):
    """The media of a leg: a field of it is written to snapshots and read from them without another line."""

    number: int
    """Number by which session descriptions of this leg name it as their author; unique over restarts."""
    author: int = 0
    """Number of the leg whose description was sent to this one last."""
    step: int = 0
    """Step of the decision, for the leg of an attempt; 0 = it is not decided."""
    is_relayed: bool = False
    """Whether its media pass the switch."""
    ports: tuple[RelayPort | None, ...] = ()
    """Ports of the leg at the relay, in the order of the media of its descriptions; None = that medium has none."""
