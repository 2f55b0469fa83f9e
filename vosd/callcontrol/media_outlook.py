"""The relay of media in a call that is not made, for ``vosd route explain``."""

from typing import Final, NamedTuple

from vosd.media.decision import MediaSide, decide
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.media import MediaEngine, MediaParameters

_OTHERWISE: Final = 8


class MediaOutlook(NamedTuple):
    """Whether the media of a call would be relayed, and the step of the decision; None = by networks and NAT."""

    is_relayed: bool | None
    step: int | None


def media_outlook(parameters: MediaParameters, caller: MappingGateway, callee: RoutingGateway) -> MediaOutlook | None:
    """Return what is known of the decision before a call; None where there is no engine.

    Networks and NAT are known in the call alone, by the addresses that its messages and descriptions have.
    """
    if parameters.engine is MediaEngine.NONE:
        return None
    sides = (
        MediaSide(caller.media, caller.is_phone or caller.credentials is not None, "", None, is_private=False),
        MediaSide(callee.media, callee.registers, "", None, is_private=False),
    )
    decision = decide(parameters, *sides)
    if decision.step == _OTHERWISE and (parameters.between_networks or parameters.behind_nat):
        return MediaOutlook(None, None)
    return MediaOutlook(decision.is_relayed, decision.step)
