"""Facts of a leg that media are decided by: settings of its trunk, its address of ours, its network."""

from collections.abc import Sequence
from itertools import chain

from vosd.b2bua.leg import Leg
from vosd.base.host import UNSPECIFIED, is_loopback, is_private
from vosd.base.nat import Nat
from vosd.media.decision import MediaSide
from vosd.media.source import RelayPort
from vosd.sdp.family import family_of
from vosd.sdp.media import BadSession, media_of
from vosd.sip.flows import Listener
from vosd.trunks.media import DEFAULT_MEDIA, MediaAddress


def side_of(leg: Leg, listeners: Sequence[Listener], session: bytes) -> MediaSide:
    """Return the facts of a leg that decide whether its media are relayed.

    ``session`` is its description, empty while that is not known. A peer is behind NAT if its SIP is, or if it
    describes a private address and is seen at a public one. One that describes the public address at which it is seen
    may be a telephone behind NAT that has learnt it by STUN. Its network is the address of ours that it uses, whether
    it is seen at a private address, and the family of its media: that of its SIP where it describes none, or both.
    """
    media, host, dialog = leg.facts.media, leg.host, leg.dialog
    if leg.route_choice is None:
        is_registered = dialog is not None and bool(dialog.user)
    else:
        is_registered = leg.route_choice.gateway.registers
    described = first_host(session) if session else ""
    is_inside, is_hidden = is_private(host), is_behind_nat(leg, described)
    family = (family_of(session) if session else 0) or (6 if ":" in host else 4)
    return MediaSide(
        settings=DEFAULT_MEDIA if media is None else media.settings,
        is_registered=is_registered,
        network=f"{listeners[flow_of(leg)].host} {'private' if is_inside else 'public'} {family}",
        nat=host if is_hidden or (not is_inside and described in {"", host}) else None,
        is_private=is_hidden,
    )


def is_behind_nat(leg: Leg, described: str) -> bool:
    """Return whether a peer is behind NAT: its SIP is, or it describes a private address and is at a public one."""
    dialog = leg.dialog
    is_hidden = dialog is not None and dialog.is_behind_nat
    if dialog is None and leg.early is not None:
        is_hidden = leg.early.transaction.parts.nat is Nat.YES
    return is_hidden or (is_private(described) and not is_private(leg.host))


def first_host(session: bytes) -> str:
    """Return the address of the first medium that is described; empty where there is none."""
    try:
        return next((each.host for each in media_of(session)), "")
    except BadSession:
        return ""


def is_reached(described: str, seen_at: str) -> bool:
    """Return whether a leg is reached at a described address: not at the zero one, nor at a private one behind NAT."""
    return bool(described) and described not in UNSPECIFIED and (not is_private(described) or is_private(seen_at))


def reader_host_of(leg: Leg, described: str) -> str:
    """Return an address of the family in which a leg is sent the ports of an rtpengine: that of its media, or its SIP.

    ``described`` is empty where it has described none, and where the rtpengine takes part in its ICE and it has
    candidates of either family.
    """
    return described if is_reached(described, leg.host) else leg.host


def flow_of(leg: Leg) -> int:
    """Return the socket of ours that a leg uses."""
    if leg.dialog is not None:
        return leg.dialog.peer.flow
    return 0 if leg.early is None else leg.early.peer.flow


def address_of(
    leg: Leg, listeners: Sequence[Listener], addresses: Sequence[Sequence[MediaAddress]], described: str = ""
) -> MediaAddress:
    """Return the address of the relay for a leg: as configured for its socket of ours, in the family of its media.

    That is the family of the address that it has ``described``, or described last, where it can send from there: not
    from the zero address, nor from a private one to a public one of ours. Where its socket has none of that family,
    it is one of another socket, a private one only for a leg that is seen at a private one. Else it is the family of
    its ports, and before it has any, that of its SIP.
    """
    flow = flow_of(leg) if leg.dialog is None else leg.dialog.peer.flow
    own = addresses[flow] if flow < len(addresses) else ()
    media, host, opened = leg.facts.media, described, ""
    if media is not None and not host:
        source = media.sources[media.audio] if media.audio < len(media.sources) else None
        host = "" if source is None else source.host
    if len(own) == 1 and (":" in own[0].announced) is (":" in (host or leg.host)):
        return own[0]
    if media is not None:
        for port in media.ports:
            if port is not None and port.id >= 0:
                opened = port.host
                break
    if (
        own
        and host
        and host not in UNSPECIFIED
        and (found := _in_family_of(host, leg.host, own, addresses)) is not None
    ):
        return found
    for each in own:
        if (":" in each.announced) is (":" in (opened or leg.host)):
            return each
    host = listeners[flow].host
    return MediaAddress(host, host)


def _in_family_of(
    host: str, seen_at: str, own: Sequence[MediaAddress], addresses: Sequence[Sequence[MediaAddress]]
) -> MediaAddress | None:
    """Return the address of the relay of the family of a described one, that can be reached; None = there is none.

    It is one of the socket's own, or where that has none of this family, of another socket.
    """
    alike = [each for each in own if (":" in each.announced) is (":" in host)]
    is_inside = is_private(host)
    if alike:
        return next((each for each in alike if not is_inside or is_private(each.announced)), None)
    if is_inside and not is_private(seen_at):  # behind NAT, which does not lead into a network of ours
        return None
    others = (each for each in chain.from_iterable(addresses) if (":" in each.announced) is (":" in host))
    reachable = (each for each in others if is_loopback(seen_at) or not is_loopback(each.announced))
    return next((each for each in reachable if is_inside is is_private(each.announced)), None)


def announced_at(port: RelayPort, address: MediaAddress, addresses: Sequence[Sequence[MediaAddress]]) -> str:
    """Return the address by which peers are sent a port of a leg at the relay, whose next ones are at ``address``.

    Where the configuration has changed since it was opened, no address is that of the port.
    """
    if port.host == address.bind:
        return address.announced
    own = next((each for several in addresses for each in several if each.bind == port.host), None)
    if own is not None:
        return own.announced
    return address.announced if is_alike(port, address) else port.host


def is_alike(port: RelayPort, address: MediaAddress) -> bool:
    """Return whether a port is of the family of an address."""
    return (":" in port.host) is (":" in address.bind)
