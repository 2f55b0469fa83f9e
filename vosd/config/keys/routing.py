"""``routing``: what holds for all routing gateways that say nothing else."""

from collections.abc import Mapping
from typing import Annotated

from vosd.base.margin import LossGuard
from vosd.config.keys.proofs import sip_domain
from vosd.config.reader.codes import q850
from vosd.config.reader.e164s import services_with_numbers, short_codes
from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys, switch, whole
from vosd.config.reader.margins import wanted_margin
from vosd.routing.special_numbers import EMERGENCY


class RoutingKeys(Keys):
    """The choice of routing gateways, where they or a routing plan say nothing else."""

    failover_codes: Annotated[tuple[Annotated[int, whole(300, 699)], ...] | None, ONE_OR_MANY] = None
    """Final codes after which the next gateway is tried. Default: 401-404, 407, 408, 428, 436-438, 480, 488 and all
    5xx."""
    failover_causes: Annotated[tuple[Annotated[int, q850()], ...], ONE_OR_MANY] = ()
    """Q.850 causes of a refusal after which the next gateway is tried, whatever the code is."""
    stop_causes: Annotated[tuple[Annotated[int, q850()], ...], ONE_OR_MANY] = ()
    """Q.850 causes of a refusal after which no other gateway is tried, whatever the code is; they come first."""
    loss_guard: Annotated[LossGuard, wanted_margin()] = LossGuard()
    """The margin that a routing gateway must leave for calls whose plan, account and trunk state none: the sell price
    of a
    minute less its buy price, where both are known, of a call of typical length; with ``by: price`` of the regular
    cycle alone. ``off`` allows calls to be sold below cost."""
    typical_seconds: Annotated[int, whole(1, 3_600)] = 60
    """The length of calls by which costs are compared, by the loss guard and in the ``order`` of plans, until 20 calls
    to a prefix of the customer's rates have ended lately: from then on the average of these counts."""
    verdicts_one_in: Annotated[int, whole(0, 1_000_000)] = 100
    """One of so many answered calls keeps with its CDR why its gateway was chosen and others were not
    (``vosd cdr show CALL_ID --why``); calls that fail all do, and those for which a gateway was too dear. 0: no other
    answered call does; 1: all.
    """
    emergency_numbers: Annotated[tuple[Annotated[str, short_codes()], ...], ONE_OR_MANY] = tuple(sorted(EMERGENCY))
    """Called numbers that are rated as dialled, whatever is a routing prefix, and that always leave CDRs, refused calls
    too: none of SERVER_BILLING_NO_CDR_E164S fits any of them, and SERVER_BILLING_RECORD_ZERO_HOLD_TIME does not count.
    Only calls of sources that are unknown or have proven nothing, and those refused for overload, leave none. List
    them in SERVER_BILLING_FREE_E164S where calls to them are free."""
    emergency_services: Annotated[Mapping[str, str] | None, services_with_numbers()] = None
    """The one of ``emergency_numbers`` that is called for a service of RFC 5031, as in ``{sos: 112, sos.police: 110}``:
    for
    ``urn:service:sos.fire`` that of ``sos`` where ``sos.fire`` has none. A service without a number is refused with
    416, and leaves a CDR."""
    local_domains: Annotated[tuple[Annotated[str, sip_domain()], ...], ONE_OR_MANY] = ()
    """Domains whose local numbers may be called, such as ``example.org`` of ``tel:1234;phone-context=example.org``; the
    ``domain`` of any phone or trunk is one of them. Calls to local numbers of other domains are refused with 404."""
    calendar_strict: Annotated[bool, switch()] = False
    """``yes``: gateways without a calendar are left out while the calendar of another one fits. By default they come
    last.
    """

    def _judge(self) -> None:
        for service, number in (self.emergency_services or {}).items():
            if number not in self.emergency_numbers:
                raise KeyProblemError("emergency_services", f"one of emergency_numbers for {service}; {number} is none")
