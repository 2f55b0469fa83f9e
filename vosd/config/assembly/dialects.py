"""How SIP is spoken with each trunk: from the keys of gateways to ``trunks.dialect``."""

from collections.abc import Sequence
from ipaddress import ip_address

from vosd.base.nat import Nat
from vosd.config.assembly.inventory import Inventory, Written, place_of
from vosd.config.keys.objects import MappingGatewayKeys, RoutingGatewayKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.session_timers import session_timer_settings
from vosd.config.reader.problems import ProblemList
from vosd.engine.settings import Listener
from vosd.trunks.dialect import CalleeDialect, CallerDialect, IdentityHeader
from vosd.trunks.gateways import Address


def caller_dialect(keys: MappingGatewayKeys, parameters: ParameterKeys) -> CallerDialect:
    """Return how SIP is spoken with a customer."""
    return CallerDialect(
        callee_from=keys.callee_from,
        caller_from=keys.caller_from,
        reliability=keys.reliable_provisionals,
        reasons=keys.reason,
        reject_codes=keys.reject_codes or {},
        transfers=keys.transfer,
        transfer_timeout_ms=keys.transfer_timeout,
        transfer_display=keys.transfer_display.display,
        transfer_number=keys.transfer_display.number,
        transfer_keys=keys.transfer_keys.keys,
        nat=keys.nat,
        session_timer=session_timer_settings(keys.session_timer, parameters),
    )


def callee_dialect(keys: RoutingGatewayKeys, parameters: ParameterKeys) -> CalleeDialect:
    """Return how SIP is spoken with a vendor."""
    return CalleeDialect(
        identity=tuple(header for header in dict.fromkeys(keys.identity) if header is not IdentityHeader.FROM),
        privacy=keys.privacy,
        display_name=keys.display_name,
        diversion=keys.diversion,
        history_info=keys.history_info,
        reliability=keys.reliable_provisionals,
        reasons=keys.reason,
        reject_codes=keys.reject_codes or {},
        redirects=keys.redirects,
        interface=None if keys.interface is None else str(keys.interface),
        nat=Nat.AUTO if keys.dynamic.is_given and "nat" not in keys.model_fields_set else keys.nat,
        session_timer=session_timer_settings(keys.session_timer, parameters),
    )


def check_interfaces(
    gateways: Inventory[RoutingGatewayKeys], listen: Sequence[Listener], problems: ProblemList
) -> None:
    """Note each gateway whose interface is no socket of ours, or cannot reach its address."""
    for written in gateways.written.values():
        interface = written.thing.interface
        if interface is None:
            continue
        if interface not in listen:
            _refuse(written, f"one of sip.listen: {', '.join(map(str, listen))}", interface, problems)
        server = written.thing.registration.server
        for address in (*written.thing.address, *(() if server is None else (server,))):
            if not _reaches(interface, address):
                wanted = f"a socket that can reach {address.host} by {address.transport or interface.transport}"
                _refuse(written, wanted, interface, problems)


def _refuse(written: Written[RoutingGatewayKeys], expected: str, interface: Listener, problems: ProblemList) -> None:
    place = place_of(written.section, "interface")
    problems.error(place, f"{written.label}.interface", expected, str(interface))


def _reaches(interface: Listener, address: Address) -> bool:
    """Say whether transport and kind of address fit; a name may have addresses of either kind."""
    if address.transport not in {None, interface.transport}:
        return False
    try:
        return ip_address(address.host).version == ip_address(interface.host).version
    except ValueError:
        return True
