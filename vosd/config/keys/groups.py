"""``address_groups[]`` and ``gateway_groups[]``: addresses and routing gateways that are named together."""

from typing import Annotated

from vosd.config.reader.addresses import source
from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys, limit, object_name
from vosd.trunks.gateways import NAMES_MAX, HostName, HostPattern


class AddressGroupKeys(Keys):
    """Source addresses that several mapping gateways have: they name the group in ``address_groups``."""

    name: Annotated[str, object_name()]
    """Unique among the address groups."""
    hosts: Annotated[tuple[Annotated[HostPattern | HostName, source(may_be_name=True)], ...], ONE_OR_MANY] = ()
    """Addresses, networks and names, as in ``hosts`` of a mapping gateway."""

    def _judge(self) -> None:
        if sum(isinstance(each, HostName) for each in self.hosts) > NAMES_MAX:
            raise KeyProblemError("hosts", f"at most {NAMES_MAX} names: each is looked up again and again")
        if not self.hosts:
            raise KeyProblemError("hosts", "at least one address, network or name")


class GatewayGroupKeys(Keys):
    """Gateways with common limits. Plans, ``gateways_allow`` and ``gateways_deny`` name its routing gateways by it."""

    name: Annotated[str, object_name()]
    """Unique among the gateway groups, and no name of a routing gateway."""
    gateways: Annotated[tuple[Annotated[str, object_name("routing_gateways")], ...], ONE_OR_MANY] = ()
    """The routing gateways, beside those that name the group in ``groups``; one may be in several groups. Mapping
    gateways name it there, too."""
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls of all its gateways at the same time. A routing gateway without room in one of its groups is left out, and
    the next is tried; calls of a mapping gateway are refused with 503. A call between two of them counts for each."""
    max_cps: Annotated[int | None, limit()] = None
    """Attempts at all its routing gateways, and calls of its mapping gateways, in the preceding 1000 ms."""
