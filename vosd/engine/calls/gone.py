"""Stand-ins for the trunks and accounts of calls of an earlier process that have left the catalogue (ADR 77).

A trunk or an account may have been removed between two processes. Its calls go on all the same, as they do after a
reload: the journal has who pays, by which rates, and on which terms.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from vosd.base.money import ZERO
from vosd.billing.accounts import Account, AccountType
from vosd.callcontrol.open_call import OpenCall
from vosd.callcontrol.taken import MoneyHeld
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.calls.established import Established
from vosd.engine.calls.known import GONE, Called, KnownObjects
from vosd.engine.calls.saved import SavedCall
from vosd.trunks.gateways import MappingGateway, RoutingGateway


def known_to(calls: Iterable[OpenCall], catalogue: Catalogue) -> KnownObjects:
    """Return what a catalogue has, and a stand-in for each name that only these calls have."""
    known = KnownObjects.of(catalogue)
    mappings: dict[str, MappingGateway] = {}
    vendors: dict[str, RoutingGateway] = {}
    accounts: dict[str, Account] = {}
    for call in calls:
        record = call.record
        mapping, vendor = record.mapping_gateway, record.routing_gateway
        if mapping is not None and mapping not in catalogue.mapping_gateways:
            mappings[mapping] = MappingGateway(mapping, record.customer_account or "", (), enabled=False, dialect=GONE)
        if vendor is not None and vendor not in known.called:
            vendors[vendor] = RoutingGateway(
                vendor, record.vendor_account, (), (), earns=call.vendor_earns, enabled=False
            )
        accounts |= _accounts_of(call, catalogue)
    return KnownObjects(
        {**known.mapping_gateways, **mappings} if mappings else known.mapping_gateways,
        Called({**catalogue.routing_gateways, **catalogue.called_trunks, **vendors}, catalogue)
        if vendors
        else known.called,
        {**known.accounts, **accounts} if accounts else known.accounts,
        known.parameters,
    )


def accounts_gone(calls: Iterable[OpenCall], catalogue: Catalogue) -> dict[str, Account]:
    """Return the accounts of calls that the catalogue does not have, with the overdraft limits of the latest calls."""
    found: dict[str, Account] = {}
    for call in calls:
        found |= _accounts_of(call, catalogue)
    return found


def _accounts_of(call: OpenCall, catalogue: Catalogue) -> dict[str, Account]:
    """Return what a call's accounts that are gone were, as far as it says so."""
    record, known = call.record, catalogue.accounts
    named = [record.customer_account, *(party.account for party in call.agents), record.vendor_account]
    gone = {name for name in named if name is not None and name not in known}
    if not gone:
        return {}
    limits = _limits_of(call)
    rates = [party.applied for party in call.agents]
    currencies = [record.currency, *(each.paid_in or each.currency for each in rates), record.vendor_currency]
    return {
        name: Account(name, AccountType.DIRECT, None, limits.get(name, ZERO), currency or "", enabled=False)
        for name, currency in zip(named, currencies, strict=True)
        if name is not None and name in gone
    }


def _limits_of(call: OpenCall) -> dict[str, Decimal | None]:
    """Return the overdraft limits of the accounts that hold money for a call."""
    try:
        if call.saved:
            taken = SavedCall.read(call.saved).request.taken
        elif call.established:
            taken = Established.read(call.established).taken
        else:
            return {}
    except msgspec.DecodeError:
        return {}  # it cannot be continued, and ends for that reason
    return {each.account: each.limit for each in taken if isinstance(each, MoneyHeld)}
