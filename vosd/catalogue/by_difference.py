"""The next catalogue from the last one: only accounts and mapping gateways that have changed are looked at (ADR 60).

Rates may have changed, too: no check regards them, and so only what holds tables of rates is made again.

Each check of ``settle.py`` regards one definition and those that it names. So it holds for the next catalogue as it did
for the last one, unless that definition has changed, an account that it names, or an agent above that account. What
mapping gateways may not have in common is looked up in the indexes of the last catalogue. Where more has changed, or
where they do have it in common, the catalogue is put together as a whole. So are mistakes found: the last catalogue had
none, so each is one of a definition that is looked at.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from itertools import chain, compress
from operator import attrgetter
from typing import Any, Final, NamedTuple

from vosd.base.edited import edited
from vosd.base.parts import in_parts
from vosd.billing.accounts import Account
from vosd.catalogue.agents import agents_by_account
from vosd.catalogue.catalogue import Catalogue, Changes
from vosd.catalogue.dids import did_table
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.groups import with_groups
from vosd.catalogue.next_rates import Looked, next_rates
from vosd.catalogue.number_rules import incoming_rules, sections_of
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.references import check_currencies, sold_by_plan
from vosd.catalogue.reused import Assembled, Reused, Watched
from vosd.catalogue.settle import check_account, check_gateway, each_of, settled_account, settled_phone, settled_vendor
from vosd.catalogue.source import CHANGING, CatalogueSource, Definition, Definitions, SourceDifference
from vosd.catalogue.users import UserSources, check_networks, user_sources, wide_networks
from vosd.catalogue.versions import Rest, version_of
from vosd.routing.identify import SourceConflict, SourceIndex
from vosd.trunks.gateways import MappingGateway

_ACCOUNT: Final = attrgetter("account")
_CHANGED_MAX: Final = 20_000
"""Definitions of a kind that were read: with more of them, as where their template has changed, all is made anew."""


class _Whole(Exception):  # noqa: N818 - it names the finding
    """The catalogue has to be put together as a whole."""


class _Difference(NamedTuple):
    """Changes of the definitions of one kind."""

    change: SourceDifference
    changed: Mapping[str, Definition[Any]]
    """New definitions, and those with another value."""
    gone: Set[str]

    @property
    def is_empty(self) -> bool:
        """Whether the definitions and their order are as they were."""
        return not self.changed and self.change.keeps_order


def assemble_changes(
    last: Assembled, source: CatalogueSource, rest: Rest, exchange: Exchange, problems: ProblemList, reused: Reused
) -> Catalogue | None:
    """Return the next catalogue, the last one where there are errors; None where it has to be made as a whole.

    ``rest`` are the digests of everything but accounts, gateways and phones. Problems are those of the whole; some may
    be missing where None is returned.
    """
    if rest.frame != last.rest.frame or problems.has_errors:
        return None
    found = _differences(last, source)
    if found is None or not (found["routing_gateways"].is_empty and found["phones"].is_empty):
        return None
    try:
        changed = found["accounts"], found["mapping_gateways"]
        return _Next(last, source, rest, *changed, exchange, problems, reused).catalogue()
    except _Whole:
        return None


def _differences(last: Assembled, source: CatalogueSource) -> dict[str, _Difference] | None:
    found = {}
    for field in CHANGING:
        now: Definitions[Any] = getattr(source, field)
        before: Mapping[str, Definition[Any]] = getattr(last.source, field).sound
        if now.change is None or now.broken or len(now.change.read) > _CHANGED_MAX:
            return None
        read = now.change.read.items()
        changed = {name: each for name, each in read if name not in before or before[name].value != each.value}
        found[field] = _Difference(now.change, changed, now.change.gone)
    return found


class _Next:
    """The catalogue that is made of the last one."""

    def __init__(
        self,
        last: Assembled,
        source: CatalogueSource,
        rest: Rest,
        accounts: _Difference,
        gateways: _Difference,
        exchange: Exchange,
        problems: ProblemList,
        reused: Reused,
    ) -> None:
        self._last, self._before, self._source, self._rest = last, last.catalogue, source, rest
        self._accounts, self._gateways = accounts, gateways
        self._exchange, self._problems, self._reused = exchange, problems, reused
        before = self._before.accounts
        self._other = accounts.gone | {name for name in accounts.changed if name in before}
        """Accounts that something may have named before."""
        self._warned = {kind: {*names} for kind, names in last.watched.warned.items()}

    def catalogue(self) -> Catalogue:
        """Return it; the last one where there are errors.

        Raises:
            _Whole: it cannot be made of the last one.
        """
        before, source, problems, reused = self._before, self._source, self._problems, self._reused
        changed = self._accounts.changed
        settled = {
            name: settled_account(each, source, self._exchange, problems, reused) for name, each in changed.items()
        }
        accounts = edited(before.accounts, self._accounts.gone, settled)
        led = self._looked_at_accounts(accounts)
        payers = self._other | self._led_otherwise(led)
        self._refuse_other_payers(payers)
        agents = edited(
            before.agents,
            led | self._accounts.gone,
            agents_by_account(source.accounts, accounts, problems, led | self._warned["agents"]),
        )
        if self._warned["agents"]:
            self._warned["agents"] |= led & agents.keys()

        values = {name: with_groups(each.value, source) for name, each in self._gateways.changed.items()}
        if any(each.groups for each in self._replaced(values)):
            raise _Whole  # a group may be left without gateways
        gone = self._gateways.gone
        of_others = {name for name in self._named_by_gateways(payers) if name not in gone and name not in values}
        self._look_at_gateways({*values, *of_others}, accounts)
        sold = self._check_sold({*values, *of_others}, accounts)
        gateways = edited(before.mapping_gateways, gone, values)
        domains = self._users(values)
        wide = self._check_networks(values, gateways, domains)
        callers = [(values[name], each) for name, each in self._gateways.changed.items()]
        rules = incoming_rules(callers, before.number_lists, before.number_pools, self._last.rules, source, problems)
        dids, called_trunks = did_table(source, problems)
        sources = self._sources(values)
        if problems.has_errors:
            return before  # the next one cannot be used, and all of its errors are found
        rates = next_rates(
            self._last,
            source,
            self._rest,
            accounts,
            gateways,
            Looked(settled.keys(), self._accounts.gone),
            Looked(values.keys() | of_others, gone),
        )
        version = version_of(
            reused.changed_digest("accounts", settled, self._accounts.gone),
            reused.changed_digest("mapping gateways", values, gone),
            *self._rest,
            self._last.others,
        )
        catalogue = replace(
            before,
            version=version,
            accounts=accounts,
            rate_groups=rates.groups,
            mapping_gateways=gateways,
            limits_codecs=before.limits_codecs or any(each.media.codecs for each in values.values()),
            routes=rates.tables.routes,
            plans=rates.tables.plans,
            sources=sources,
            user_sources=self._user_sources(values, domains),
            users=domains.pop(""),
            domains=domains,
            incoming=edited(before.incoming, {*values, *gone}, rules),
            sections=edited(
                before.sections, led | self._accounts.gone, sections_of([accounts[name] for name in led], agents)
            ),
            agents=agents,
            customer_rates=rates.customers,
            account_rates=rates.accounts,
            vendor_rates=rates.vendors,
            dids=dids,
            called_trunks=called_trunks,
            changes=Changes(before.version, settled.keys() | self._accounts.gone, values.keys() | gone),
        )
        warned = {kind: frozenset(names) for kind, names in self._warned.items()}
        watched = Watched(warned, wide, self._last.watched.sold | sold)
        kept = self._last._replace(catalogue=catalogue, source=source, rest=self._rest, watched=watched)
        reused.keep(kept, self._accounts.gone)
        return catalogue

    def _led_otherwise(self, led: Set[str]) -> Set[str]:
        """Return the accounts whose trunks may have other rate groups than before, because of an agent above them."""
        before = self._before.accounts
        for name, definition in self._accounts.changed.items():
            then, now = before.get(name), definition.value
            if then is not None and (then.sub_rate_groups, then.agent) != (now.sub_rate_groups, now.agent):
                return led
        return frozenset()

    def _refuse_other_payers(self, payers: Set[str]) -> None:
        """Leave it to the whole where a vendor or a phone names one of these accounts."""
        before = self._before
        named = chain(
            (each.account for each in before.routing_gateways.values()),
            (each.gateway.account for part in in_parts(before.phones.values()) for each in part),
        )
        if payers and any(account in payers for account in named):
            raise _Whole

    def _named_by_gateways(self, payers: Set[str]) -> list[str]:
        """Return the mapping gateways that name one of these accounts."""
        if not payers:
            return []
        is_other, found = payers.__contains__, []
        for part in in_parts(self._before.mapping_gateways.values()):
            found += [each.name for each in compress(part, map(is_other, map(_ACCOUNT, part)))]
        return found

    def _looked_at_accounts(self, accounts: Mapping[str, Account]) -> set[str]:
        """Check the accounts that have changed; return them, and those below them."""
        led = {*self._accounts.changed}
        if self._other:
            for part in in_parts(self._before.agents.items()):
                led.update(name for name, agents in part if any(each.id in self._other for each in agents))
        led -= self._accounts.gone
        self._look(
            "accounts",
            led,
            lambda each: check_account(each, accounts[each.value.id], self._source, self._exchange, self._problems),
            self._accounts.gone,
        )
        self._warned["agents"] -= self._accounts.gone
        return led

    def _look_at_gateways(self, names: Iterable[str], accounts: Mapping[str, Account]) -> None:
        """Check the gateways ``names``, and again what had warnings."""
        source, exchange, problems = self._source, self._exchange, self._problems
        phones, vendors = source.phones.sound, source.routing_gateways.sound
        for name in self._gateways.changed:
            if name in phones or (name in vendors and vendors[name].value.credentials is not None):
                raise _Whole
        gone = self._gateways.gone
        self._look(
            "mapping_gateways", names, lambda each: check_gateway(each, source, accounts, exchange, problems), gone
        )
        self._look("phones", (), lambda each: settled_phone(each, source, accounts, exchange, problems))
        self._look("routing_gateways", (), lambda each: settled_vendor(each, source, accounts, exchange, problems))

    def _look(
        self, kind: str, names: Iterable[str], look: Callable[[Definition[Any]], object], gone: Set[str] = frozenset()
    ) -> None:
        """Look at definitions, and again at those that had warnings."""
        sound = getattr(self._source, kind).sound
        looked_at = {name: sound[name] for name in {*names, *self._warned[kind]} if name not in gone}
        warned: set[str] = set()
        each_of(looked_at, look, self._problems, warned)
        self._warned[kind] = warned

    def _check_sold(self, names: Iterable[str], accounts: Mapping[str, Account]) -> frozenset[tuple[str, str | None]]:
        """Check what is sold now in other currencies than before, by some routing plan."""
        source = self._source
        definitions = [source.mapping_gateways.sound[name] for name in names]
        sold = sold_by_plan(((each.value, each) for each in definitions), accounts)
        new = {key: each for key, each in sold.items() if key not in self._last.watched.sold}
        if new:
            plans = {name: table.plan for name, table in self._before.plans.items()}
            check_currencies(new, source.routing_gateways, plans, accounts, self._exchange, self._problems)
        return frozenset(new)

    def _users(self, values: Mapping[str, MappingGateway]) -> dict[str, Mapping[str, MappingGateway]]:
        """Return everything with credentials by domain and user name."""
        domains: dict[str, Mapping[str, MappingGateway]] = {"": self._before.users, **self._before.domains}
        own: dict[str, dict[str, MappingGateway]] = {}

        def users_in(domain: str) -> dict[str, MappingGateway]:
            if domain not in own:
                own[domain] = dict(domains.get(domain, {}))
            return own[domain]

        for gateway in self._replaced(values):
            if gateway.credentials is not None:
                del users_in(gateway.credentials.domain)[gateway.credentials.username]
        for gateway in values.values():
            if gateway.credentials is not None:
                users = users_in(gateway.credentials.domain)
                if users.setdefault(gateway.credentials.username, gateway) is not gateway:
                    raise _Whole
        domains |= own
        return {domain: users for domain, users in domains.items() if users or not domain}

    def _user_sources(
        self, values: Mapping[str, MappingGateway], domains: Mapping[str, Mapping[str, MappingGateway]]
    ) -> UserSources | None:
        """Return the addresses of phones, which have not changed; None where some user may be anywhere."""
        touched = (*values.values(), *self._replaced(values))
        if not any(each.credentials is not None and each.may_be_anywhere for each in touched):
            return self._before.user_sources
        users = (user for each in domains.values() for user in each.values())
        return user_sources(users, (each.gateway for each in self._before.phones.values()))

    def _replaced(self, values: Mapping[str, MappingGateway]) -> list[MappingGateway]:
        """Return the gateways of the last catalogue that have changed or are gone."""
        before = self._before.mapping_gateways
        return [before[name] for name in (*values, *self._gateways.gone) if name in before]

    def _check_networks(
        self,
        values: Mapping[str, MappingGateway],
        gateways: Mapping[str, MappingGateway],
        domains: Mapping[str, Mapping[str, MappingGateway]],
    ) -> frozenset[str]:
        """Check the wide networks of gateways against the hosts of users; return those with wide networks."""
        changed = {name for name, gateway in values.items() if wide_networks(gateway)}
        wide = self._last.watched.wide.difference(self._gateways.gone, values) | changed
        has_other_users = any(each.credentials is not None for each in (*values.values(), *self._replaced(values)))
        looked_at = wide if has_other_users or self._warned["networks"] else changed
        if not looked_at:
            self._warned["networks"] = set()
            return wide
        found = len(self._problems)
        users = [user for each in domains.values() for user in each.values()]
        check_networks(
            [gateways[name] for name in looked_at], users, self._source.mapping_gateways.sound, self._problems
        )
        self._warned["networks"] = {*wide} if len(self._problems) > found else set()
        return wide

    def _sources(self, values: Mapping[str, MappingGateway]) -> SourceIndex:
        replaced = self._replaced(values)
        if not (values or replaced):
            return self._before.sources
        try:
            return self._before.sources.changed(replaced, values.values())
        except SourceConflict as conflict:
            raise _Whole from conflict
