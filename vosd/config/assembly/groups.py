"""Groups of addresses and of routing gateways: from keys to the definitions of the catalogue."""

from typing import Final

from vosd.config.assembly.conversion import full_conversion
from vosd.config.keys.groups import AddressGroupKeys, GatewayGroupKeys
from vosd.trunks.gateways import HostName, HostPattern
from vosd.trunks.groups import AddressGroup, GatewayGroup

_ADDRESSES: Final = full_conversion(AddressGroupKeys, AddressGroup, by_hand={"hosts": "hosts"})
_GATEWAYS: Final = full_conversion(GatewayGroupKeys, GatewayGroup, by_hand={"gateways": "gateways"})


def address_group(keys: AddressGroupKeys) -> AddressGroup:
    """Return a group of addresses."""
    hosts = tuple(each for each in keys.hosts if isinstance(each, HostPattern))
    return _ADDRESSES(keys, hosts=hosts, named_hosts=tuple(each for each in keys.hosts if isinstance(each, HostName)))


def gateway_group(keys: GatewayGroupKeys) -> GatewayGroup:
    """Return a group of routing gateways."""
    return _GATEWAYS(keys, gateways=frozenset(keys.gateways))
