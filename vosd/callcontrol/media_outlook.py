"""The relay of media in a call that is not made yet: for ``vosd route explain``, and where address families differ."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from vosd.base.host import is_address
from vosd.media.decision import MediaSide, decide
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.media import Encryption, EncryptionKind, IceMode, MediaEngine, MediaParameters, MediaSettings

_OTHERWISE: Final = 8


class MediaOutlook(NamedTuple):
    """Whether the media of a call would be relayed, and the step of the decision; None = by networks and NAT."""

    is_relayed: bool | None
    step: int | None
    encryption: str = ""
    """Encryption of both sides, as far as either has any."""


def media_outlook(parameters: MediaParameters, caller: MappingGateway, callee: RoutingGateway) -> MediaOutlook | None:
    """Return what is known of the decision before a call; None where there is no engine.

    Networks and NAT are known in the call alone, by the addresses that its messages and descriptions have.
    """
    if parameters.engine is MediaEngine.NONE:
        return None
    decision = decide(parameters, _caller_side(caller), _callee_side(callee))
    encryption = _encryption(caller.media, callee.media)
    if decision.step == _OTHERWISE and (parameters.between_networks or parameters.behind_nat):
        return MediaOutlook(None, None, encryption)
    return MediaOutlook(decision.is_relayed, decision.step, encryption)


def _encryption(caller: MediaSettings, callee: MediaSettings) -> str:
    """Return how both sides are to be encrypted, in words; empty where neither is."""
    sides = []
    for name, settings in (("caller", caller), ("gateway", callee)):
        if settings.encryption is Encryption.OFF and settings.ice is IceMode.OFF:
            continue
        keys = f" by {settings.encryption_by.value}" if settings.encryption_by is not EncryptionKind.AUTO else ""
        ice = ", ICE" if settings.ice is IceMode.LITE else ""
        sides.append(f"{name} {settings.encryption.value}{keys if settings is callee else ''}{ice}")
    return "; ".join(sides)


def out_of_reach(
    parameters: MediaParameters, caller: MappingGateway, family: int, callee: RoutingGateway, hosts: Iterable[str]
) -> str | None:
    """Return why a gateway at these hosts cannot exchange media with a caller of one address family; None = it can.

    A relay has addresses of both families. Without it a host of the one cannot send to the other. The address 0.0.0.0
    stands for one that is not known.
    """
    families = {6 if ":" in host else 4 for host in hosts if is_address(host) and host != "0.0.0.0"}
    if not families or family in families:
        return None
    differ = f"the caller's media are IPv{family}, those of the gateway IPv{families.pop()}"
    if parameters.engine is MediaEngine.NONE:
        return f"{differ}, and there is no media.engine"
    one, other = _caller_side(caller), _callee_side(callee)
    decision = decide(parameters, one._replace(network="one"), other._replace(network="other"))
    if decision.is_relayed or (decision.step == _OTHERWISE and parameters.behind_nat and callee.registers):
        return None  # a phone may be behind NAT, which is known in the call alone
    step = f"step {decision.step}" if decision.step else "SS_MEDIAPROXYMODE"
    return f"{differ}, and they are not relayed ({step})"


def _caller_side(caller: MappingGateway) -> MediaSide:
    return MediaSide(caller.media, caller.is_phone or caller.credentials is not None, "", None, is_private=False)


def _callee_side(callee: RoutingGateway) -> MediaSide:
    return MediaSide(callee.media, callee.registers, "", None, is_private=False)
