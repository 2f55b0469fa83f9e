"""Terms in force for new calls: the catalogue, and values that operators have overridden."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from vosd.b2bua.settings import CallSettings
from vosd.billing.accounts import Account
from vosd.callcontrol.admission import Admission
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Overrides
from vosd.engine.calls.intake import Intake
from vosd.engine.calls.notices import vendors_by_host
from vosd.engine.calls.refusals import Refusals
from vosd.engine.calls.services import CallServices
from vosd.sip.endpoint import Endpoint
from vosd.trunks.gateways import RoutingGateway

RECOUNTED_AT_ONCE: Final = 500
"""Calls whose shared limits are counted before messages get their turn, some 3 ms."""


class TermsInForce:
    """Puts catalogues and overrides in force; live calls keep the terms that they were admitted with."""

    def __init__(self, endpoint: Endpoint, services: CallServices, refusals: Refusals, intake: Intake) -> None:
        self._endpoint = endpoint
        self._services = services
        self._refusals = refusals
        self._intake = intake
        self._overrides = Overrides()
        self.swap(services.admission.catalogue)

    def swap(self, catalogue: Catalogue, changed: Iterable[Account] | None = None) -> None:
        """Use another catalogue for new calls.

        Every account of the catalogue must have a credit by now, except at the start. ``changed`` are the accounts
        whose terms may differ from those in force; None = all.
        """
        self._use(catalogue)
        live, gateways, parameters = self._services.live, catalogue.routing_gateways, catalogue.parameters
        live.blocks.set(self._overrides, catalogue)
        self._services.attempts.keep(gateways)
        live.address_turns.keep(gateways.keys())
        live.quality.adjust(parameters.quality_slice_ms, parameters.quality_slices)
        live.quality.keep(gateways.keys())
        live.false_answers.adjust(parameters.short_calls, gateways.keys())
        live.dynamic_lists.keep(catalogue.mapping_gateways.keys())
        live.pool_turns.keep(catalogue.number_pools.keys())
        live.turns.keep({catalogue.routes.plan.name, *catalogue.plans}, gateways.keys())
        self.sources = catalogue.sources
        """The addresses that customers' calls come from."""
        self.vendor_hosts = self._services.notices.vendors = vendors_by_host(gateways.values())
        """Names of the routing gateways by the addresses that they have in the configuration."""
        vendors = (*gateways.values(), *catalogue.called_trunks.values())
        self._endpoint.pass_bodies(frozenset[str]().union(*(each.dialect.bodies for each in vendors)))
        self._set_call_settings(catalogue)
        accounts = catalogue.accounts.values() if changed is None else changed
        overridden = self._overrides.accounts() | self._overrides.closed().intersection(each.id for each in accounts)
        for account in accounts if live.credits else ():  # at the start there are none
            credit = live.credits.get(account.id)
            # Between two terms an account would be reported as low once more, or be low by those that do not hold.
            if credit is not None and account.id not in overridden:
                credit.set_terms(account.overdraft_limit, *account.low_terms)
        self._set_overdraft_limits(overridden)

    def recount(self) -> Iterator[None]:
        """Have the running calls occupy the shared limits of the catalogue in force; yield between parts of them."""
        for number, live_call in enumerate(self._services.running.all(), 1):
            if not live_call.is_over:
                live_call.gateways.recount()
            if number % RECOUNTED_AT_ONCE == 0:
                yield

    def relocate(self, catalogue: Catalogue) -> None:
        """Use the catalogue in force with other addresses of customers' names; live calls stay whose they are."""
        self._use(catalogue)
        self.sources = catalogue.sources

    def override(self, catalogue: Catalogue, overrides: Overrides) -> None:
        """Use the catalogue in force with other overridden values, and block what is to be blocked.

        What live calls hold of an account counts against its new overdraft limit.
        """
        self._use(catalogue)
        self._services.live.blocks.set(overrides, catalogue)
        before, self._overrides = self._overrides, overrides
        closed = overrides.closed()
        if before.by_key != overrides.by_key:  # else all are set again
            closed ^= before.closed()  # there may be very many, and those that were closed before have their terms
        self._set_overdraft_limits(before.accounts() | overrides.accounts() | closed)

    @property
    def call_settings(self) -> CallSettings:
        """The settings of new calls, but for those of routing plans with values of their own."""
        return self._intake.settings

    def vendors_at(self, host: str) -> Sequence[RoutingGateway]:
        """Return the routing gateways that are configured at a host."""
        gateways = self._services.admission.catalogue.routing_gateways
        return [gateways[name] for name in self.vendor_hosts.get(host, ()) if name in gateways]

    def _use(self, catalogue: Catalogue) -> None:
        """Admit and refuse calls by a catalogue."""
        admission = Admission(catalogue, self._services.live)
        self._services.adopt(admission)
        self._refusals.adopt(admission)
        self._services.notices.near_matches.catalogue = catalogue

    def _set_call_settings(self, catalogue: Catalogue) -> None:
        """Set what holds for new calls, and for those of routing plans with values of their own."""
        parameters = catalogue.parameters
        self._intake.settings = settings = CallSettings(
            parameters.max_attempts, parameters.search_ms, parameters.challenges_max, parameters.dead_call_billing,
            parameters.charges_ringing,
        )  # fmt: skip
        self._intake.settings_by_plan = {
            name: replace(
                settings,
                max_attempts=table.plan.max_attempts or settings.max_attempts,
                search_ms=table.plan.search_ms or settings.search_ms,
            )
            for name, table in catalogue.plans.items()
            if table.plan.max_attempts is not None or table.plan.search_ms is not None
        }

    def _set_overdraft_limits(self, names: Iterable[str]) -> None:
        """Set the terms of accounts whose limit is, or was, overridden, or which are, or were, closed."""
        accounts = self._services.admission.catalogue.accounts
        for name in names:
            credit, account = self._services.live.credits.get(name), accounts.get(name)
            if credit is not None and account is not None:
                credit.set_terms(self._overrides.overdraft_limit(account), *self._overrides.low_terms(account))
