"""Find the rates of calls that were made: those that a call of the same kind would get (docs/billing.md).

A look-up is that of the set-up of a call (``Admission.find_sell_rate``, ``LiveVendors.terms``), with the same catalogue
the same rate. What a call cost already is compared with that by ``admin.rerate``.
"""

import msgspec

from vosd.base.number import without_separators
from vosd.billing.accounts import Account, AccountType
from vosd.billing.free_numbers import free_rate
from vosd.billing.ports import Rates
from vosd.billing.rate_group import RateGroup
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.sell_rate import of_allowed_type
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.rate_choices import chooser_of
from vosd.cdr.past import PastCall
from vosd.trunks.number_rules import IncomingNumbers


class RatesAgain:
    """The rates of customers, agents and vendors by one catalogue."""

    def __init__(self, catalogue: Catalogue, instead: RateGroup | None = None, account: str | None = None) -> None:
        """``instead`` is another rate group of ``account``, whatever rates it and its gateways have of their own."""
        self._catalogue = catalogue
        self._numbers = catalogue.parameters.special_numbers
        self._has_free = bool(self._numbers.free)
        self._account = account
        self._instead: Rates | None = None if instead is None else self._charged(instead, account)
        self._customers: dict[tuple[str, str], Rates | None] = {}
        """By account and mapping gateway."""
        self._vendors: dict[tuple[str, str], Rates | None] = {}
        """By account and routing gateway."""

    def caller_of(self, past: PastCall) -> str:
        """Return the calling number that a call was rated by: as the rules of its mapping gateway have rewritten it.

        It is the number that the other side was sent, unless the vendor's gateway may have changed it; then the one
        that was received, as the rules of now rewrite it: without numbers of a pool, and with 0 for random digits.
        Where the vendor's gateway is gone, or there is none, it is the number that was sent if the mapping gateway
        changes numbers: the received one is another then.
        """
        mapping = self._catalogue.mapping_gateways.get(past.mapping_gateway or "")
        vendor = self._catalogue.routing_gateways.get(past.routing_gateway or "")
        if vendor is None:
            is_as_rated = mapping is not None and mapping.numbers is not None and mapping.numbers.may_change_callers
        else:
            is_as_rated = vendor.numbers is None or not vendor.numbers.may_change_callers
        if past.caller_out is not None and is_as_rated:
            return past.caller_out
        caller = without_separators(past.caller_in)
        if mapping is None:
            return caller
        if mapping.caller_numbers is not None:
            caller = mapping.caller_numbers.permitted(caller)
        return caller if mapping.numbers is None else self._rewritten(caller, mapping.name, mapping.numbers)

    def _rewritten(self, caller: str, gateway: str, numbers: IncomingNumbers) -> str:
        """Return a received calling number as the rules of a mapping gateway rewrite it, but for chance and pools."""
        form = numbers.caller_format
        if form is not None and form.replacement and not form.fits(caller):
            caller = form.replacement
        return self._catalogue.incoming[gateway].applied("", caller, lambda _below: 0, lambda _pool: None).caller

    def of_customer(
        self,
        account: str,
        gateway: str,
        number: str,
        wall_ms: int,
        caller: str,
        dialled: str = "",
        forward_prefix: str = "",
    ) -> AppliedRate | None:
        """Return the rate of a call from a mapping gateway or phone that arrived at ``wall_ms`` (UTC).

        A gateway that is not configured any more, or whose account is another one by now, has the rates of ``account``.
        ``dialled`` is the number with its routing prefix, by which it may be free; empty = it has none. With
        ``forward_prefix`` the call was forwarded, and was sold by the number behind that.
        """
        key = account, gateway
        rates = self._customers[key] if key in self._customers else self._settle_customer(account, gateway)
        payer = self._catalogue.accounts.get(account)
        if self._has_free and payer is not None:
            pattern = self._numbers.free_by(number, dialled or number)
            if pattern is not None:
                return free_rate(pattern, payer, self._catalogue.parameters.free_policy)
        return _allowed(payer, _sold(rates, number, wall_ms, caller, forward_prefix))

    def of_vendor(self, account: str, gateway: str, number: str, wall_ms: int, caller: str) -> AppliedRate | None:
        """Return the rate of a call to a routing gateway; without that the account's, as with ``of_customer``.

        ``caller`` is empty where the vendor was not sent the number.
        """
        key = account, gateway
        rates = self._vendors[key] if key in self._vendors else self._settle_vendor(account, gateway)
        return None if rates is None else rates.find(number, wall_ms, caller)

    def of_agent(
        self, account: str, number: str, wall_ms: int, caller: str, forward_prefix: str = ""
    ) -> AppliedRate | None:
        """Return the rate of an account by itself; ``forward_prefix`` as with ``of_customer``."""
        payer = self._catalogue.accounts.get(account)
        return _allowed(payer, _sold(self._of_account(account), number, wall_ms, caller, forward_prefix))

    def _settle_customer(self, account: str, gateway: str) -> Rates | None:
        catalogue = self._catalogue
        mapping = catalogue.mapping_gateways.get(gateway)
        if mapping is None or mapping.account != account or account == self._account:
            rates = self._of_account(account)
        else:
            rates = catalogue.customer_rates.get(gateway)
            if rates is None:
                rates = self._group(mapping.rate_group or catalogue.accounts[account].rate_group)
        self._customers[account, gateway] = rates
        return rates

    def _settle_vendor(self, account: str, gateway: str) -> Rates | None:
        catalogue = self._catalogue
        vendor = catalogue.routing_gateways.get(gateway)
        payee = catalogue.accounts.get(account)
        is_partner = payee is not None and payee.type is AccountType.PARTNER
        if vendor is None or vendor.account != account or (account == self._account and not is_partner):
            rates = None if is_partner else self._of_account(account)  # a partner's account has the rates that it pays
        else:
            rates = catalogue.vendor_rates.get(gateway) or self._group(catalogue.accounts[account].rate_group)
        self._vendors[account, gateway] = rates
        return rates

    def _of_account(self, name: str) -> Rates | None:
        if name == self._account and self._instead is not None:
            return self._instead
        account = self._catalogue.accounts.get(name)
        return None if account is None else self._catalogue.rates_of(account)

    def _group(self, name: str | None) -> Rates | None:
        return None if name is None else self._catalogue.rate_groups.get(name)

    def _charged(self, group: RateGroup, name: str | None) -> Rates:
        """Return the rates of an account that has this rate group and no others: with its origins and periods."""
        catalogue = self._catalogue
        account = catalogue.accounts.get(name or "")
        if account is None:
            return group
        groups = {**catalogue.rate_groups, group.name: group}
        chooser = chooser_of(
            catalogue.parameters, groups, catalogue.period_rates, catalogue.calendars, catalogue.currencies
        )
        alone = msgspec.structs.replace(account, rate_group=group.name, private_rate_group=None, period_rates=None)
        return chooser.of_accounts([alone]).get(alone.id, group)


def _sold(rates: Rates | None, number: str, wall_ms: int, caller: str, forward_prefix: str) -> AppliedRate | None:
    return None if rates is None else rates.find(forward_prefix + number, wall_ms, caller, forward_prefix)


def _allowed(payer: Account | None, rate: AppliedRate | None) -> AppliedRate | None:
    """Return a rate as far as an account may call destinations of its type."""
    if rate is None or payer is None or not payer.rate_types:
        return rate
    allowed = of_allowed_type(payer, rate)
    return allowed if isinstance(allowed, AppliedRate) else None
