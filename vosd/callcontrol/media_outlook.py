"""The relay of media in a call that is not made yet: for ``vosd route explain``, and where address families differ."""

from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_network
from typing import Final, NamedTuple, TypeVar

from vosd.base.host import is_address, is_private, is_within_private, plain_host
from vosd.base.nat import Nat
from vosd.media.decision import MediaSide, decide
from vosd.sip.flows import peer_of
from vosd.sip.nat import is_elsewhere
from vosd.trunks.gateways import Address, MappingGateway, RoutingGateway
from vosd.trunks.media import Encryption, EncryptionKind, IceMode, MediaEngine, MediaParameters, MediaSettings

_NETWORKS, _NAT, _OTHERWISE = 6, 7, 8
_CALLER_UNKNOWN: Final = "the address of the caller is known in the call alone"
_GATEWAY_UNKNOWN: Final = "the address of the gateway is known in the call alone"
_PRIVATE_BOTH: Final = "both are at private addresses and use the same address of sip.listen"
_PUBLIC_BOTH: Final = "both are at public addresses and use the same address of sip.listen"
_NAT_UNKNOWN: Final = "whether both are behind NAT shows in their Contact and session description alone"
_UNKNOWN_HOST: Final = "0.0.0.0"
"""Stands for an address that is not known."""


class MediaStep(NamedTuple):
    """A step of the decision that goes by addresses, before a call."""

    step: int
    is_relayed: bool | None
    """Whether this step has media relayed; None = that is known in the call alone."""
    reason: str
    """Why, or what is not known before."""


class MediaOutlook(NamedTuple):
    """Whether the media of a call would be relayed, and the step of the decision; None = it is known in the call."""

    is_relayed: bool | None
    step: int | None
    encryption: str = ""
    """Encryption of both sides, as far as either has any."""
    steps: tuple[MediaStep, ...] = ()
    """Steps 6 to 8, where none before them decides."""


class _Known(NamedTuple):
    """Facts of a side that are known before a call; None = they are not."""

    is_private: bool | None
    """Whether it is seen at a private address."""
    socket: str | None
    """The address of ours that it uses."""
    is_hidden: bool | None
    """Whether it is behind NAT."""
    host: str | None
    """The only address that it is seen at."""


def media_outlook(
    parameters: MediaParameters,
    caller: MappingGateway,
    source: str,
    callee: RoutingGateway,
    addresses: Sequence[Address],
) -> MediaOutlook | None:
    """Return what is known of the decision before a call; None where there is no engine.

    ``source`` is the address that the call comes from, empty = one of its gateway; ``addresses`` are those of the
    gateway now. Networks and NAT are known in the call alone, as far as its messages and descriptions say them.
    """
    if parameters.engine is MediaEngine.NONE:
        return None
    decision = decide(parameters, _caller_side(caller), _callee_side(callee))
    encryption = _encryption(caller.media, callee.media)
    if decision.step != _OTHERWISE:
        return MediaOutlook(decision.is_relayed, decision.step, encryption)
    one, other = _known_caller(parameters, caller, source), _known_callee(parameters, callee, addresses)
    steps = (_by_networks(parameters, one, other), _by_nat(parameters, one, other))
    undecided = next((each for each in steps if each.is_relayed is not False), None)
    otherwise = MediaStep(_OTHERWISE, False, "no step before it has media relayed")
    if undecided is None:
        return MediaOutlook(False, _OTHERWISE, encryption, (*steps, otherwise))
    if undecided.is_relayed:
        until = steps.index(undecided) + 1
        return MediaOutlook(True, undecided.step, encryption, steps[:until])
    return MediaOutlook(None, None, encryption, (*steps, otherwise))


def _known_caller(parameters: MediaParameters, caller: MappingGateway, source: str) -> _Known:
    if source:
        networks = [ip_network(source)]
    else:
        is_fixed = not caller.is_phone and not caller.named_hosts
        networks = [each.network for each in caller.hosts] if is_fixed else []
    kinds = {is_within_private(each) for each in networks}
    inside = kinds.pop() if len(kinds) == 1 else None
    socket = _only({_socket(parameters, each.version) for each in networks})
    host = str(networks[0][0]) if len(networks) == 1 and networks[0].num_addresses == 1 else None
    return _Known(inside, socket, _hidden(caller.dialect.nat, inside), host)


def _known_callee(parameters: MediaParameters, callee: RoutingGateway, addresses: Sequence[Address]) -> _Known:
    hosts = {each.host for each in addresses}
    if not hosts or _UNKNOWN_HOST in hosts or not all(map(is_address, hosts)):
        return _Known(None, _socket(parameters, 0), _hidden(callee.dialect.nat, None), None)
    inside = _only({is_private(each) for each in hosts})
    nat = callee.dialect.nat
    if nat is Nat.AUTO and all(_is_elsewhere(each) for each in addresses):
        nat = Nat.YES
    interface = callee.dialect.interface
    socket = _only({_socket(parameters, 6 if ":" in each else 4) for each in hosts})
    if interface is not None:
        socket = plain_host(interface.partition(":")[2].rpartition(":")[0])
    return _Known(inside, socket, _hidden(nat, inside), _only(hosts))


def _is_elsewhere(address: Address) -> bool:
    """Return whether a registered phone is not seen at the address that it has registered."""
    seen = peer_of(0, address.host, address.port or 0)
    return bool(address.uri) and not address.path and is_elsewhere(address.uri, seen)


def _socket(parameters: MediaParameters, version: int) -> str | None:
    """Return the address of ours that a peer of one address family uses, 0 = of any; None = there are several."""
    found = [each for each in parameters.sockets if not version or (":" in each) is (version == 6)]
    return found[0] if len(found) == 1 else None


def _hidden(nat: Nat, is_inside: bool | None) -> bool | None:
    """Return whether a side is behind NAT; at a public address it may still describe a private one."""
    if nat is Nat.YES:
        return True
    return False if nat is Nat.NO and is_inside else None


_T = TypeVar("_T")


def _only(values: Collection[_T]) -> _T | None:
    return next(iter(values)) if len(values) == 1 else None


def _by_networks(parameters: MediaParameters, caller: _Known, callee: _Known) -> MediaStep:
    if not parameters.between_networks:
        return MediaStep(_NETWORKS, False, "SS_MEDIAPROXYBETWEENNET is Off")
    if caller.socket is not None and callee.socket is not None and caller.socket != callee.socket:
        return MediaStep(_NETWORKS, True, "both use different addresses of sip.listen")
    if caller.is_private is None or callee.is_private is None:
        is_caller = caller.is_private is None
        unknown = _CALLER_UNKNOWN if is_caller else _GATEWAY_UNKNOWN
        return MediaStep(_NETWORKS, None, unknown)
    if caller.is_private is not callee.is_private:
        return MediaStep(_NETWORKS, True, "one side is at a private address, the other at a public one")
    if caller.socket is None or callee.socket is None:
        return MediaStep(_NETWORKS, None, "which addresses of sip.listen both use is known in the call alone")
    if not parameters.behind_nat and {caller.is_hidden, callee.is_hidden} not in ({True}, {False}):
        return MediaStep(_NETWORKS, None, _NAT_UNKNOWN)  # one that is alone behind NAT is in another network
    return MediaStep(_NETWORKS, False, _PRIVATE_BOTH if caller.is_private else _PUBLIC_BOTH)


def _by_nat(parameters: MediaParameters, caller: _Known, callee: _Known) -> MediaStep:
    if not parameters.behind_nat:
        return MediaStep(_NAT, False, "SS_MEDIAPROXYBEHINDNAT is Off")
    hidden = caller.is_hidden, callee.is_hidden
    if hidden == (False, False):
        return MediaStep(_NAT, False, "neither side is behind NAT")
    if True in hidden:
        are_apart = caller.host is not None and callee.host is not None and caller.host != callee.host
        if parameters.same_nat or are_apart or False in hidden:
            return MediaStep(
                _NAT, True, "the caller is behind NAT" if caller.is_hidden else "the gateway is behind NAT"
            )
        if hidden == (True, True) and caller.host is not None and caller.host == callee.host:
            return MediaStep(_NAT, False, "both are behind the same NAT, and SS_MEDIAPROXYSAMENAT is Off")
    return MediaStep(_NAT, None, _NAT_UNKNOWN)


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
    families = {6 if ":" in host else 4 for host in hosts if is_address(host) and host != _UNKNOWN_HOST}
    if not families or family in families:
        return None
    return between_families(parameters, caller, family, callee, families.pop())


def between_families(
    parameters: MediaParameters, caller: MappingGateway, family: int, callee: RoutingGateway, other: int
) -> str | None:
    """Return why a caller cannot exchange media with a gateway whose media have the ``other`` address family.

    None = it can.
    """
    differ = f"the caller's media are IPv{family}, those of the gateway IPv{other}"
    if parameters.engine is MediaEngine.NONE:
        return f"{differ}, and there is no media.engine"
    one, two = _caller_side(caller), _callee_side(callee)
    decision = decide(parameters, one._replace(network="one"), two._replace(network="two"))
    if decision.is_relayed or (decision.step == _OTHERWISE and parameters.behind_nat and callee.registers):
        return None  # a phone may be behind NAT, which is known in the call alone
    step = f"step {decision.step}" if decision.step else "SS_MEDIAPROXYMODE"
    return f"{differ}, and they are not relayed ({step})"


def _caller_side(caller: MappingGateway) -> MediaSide:
    return MediaSide(caller.media, caller.is_phone or caller.credentials is not None, "", None, is_private=False)


def _callee_side(callee: RoutingGateway) -> MediaSide:
    return MediaSide(callee.media, callee.registers, "", None, is_private=False)
