"""Use case of a comparison with the switch of a partner, by hand (docs/books.md)."""

from typing import Final

import msgspec

from vosd.admin.names import configured
from vosd.admin.office.errors import OrderError
from vosd.admin.office.needs import needs
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal
from vosd.admin.partner_totals import Partner, PartnerOutcome, compared_with
from vosd.clearing.bilateral import DELAY_MS, PERIOD_MS, SPAN_MS
from vosd.engine.host_names import HostNames

_NAMES: Final = HostNames(64, "names of partners")


class ComparePartner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The hour before a time, or before now, with a partner of ``bilateral``."""

    account: str
    until: int | None = None
    """None = the newest period that both switches have booked; another time is rounded down to five minutes."""


@needs(Permission.BOOKS_SEE)
async def compare_partner(office: Office, who: Principal, order: ComparePartner) -> PartnerOutcome:
    """Ask the switch of a partner for its totals, and compare them with ours; nothing is kept and no alarm raised.

    Raises:
        UnknownAccountError, OrderError: the account is none, or none of a partner.
        ConfigError: the configuration is invalid.
    """
    account = configured(office.definitions.accounts(), order.account)
    found = [each for each in office.definitions.settings.bilateral if each.account == order.account]
    if not found:
        raise OrderError("account", f"is {order.account}, which is no partner", "`bilateral` lists partners")
    at = office.now() - DELAY_MS if order.until is None else order.until
    until = at - at % PERIOD_MS
    partner = Partner(found[0], account.currency)
    return await compared_with(partner, office.stores.ended_calls, _NAMES, until - SPAN_MS, until)
