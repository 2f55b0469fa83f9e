"""Models to the catalogue: references are followed, defaults settled, sources and routes indexed.

What one object can say of itself was checked by its model; here stands what two objects say of each other.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.billing.accounts import Account
from vosd.billing.rates import RateGroup
from vosd.catalogue.catalogue import CallParameters, Catalogue
from vosd.config.assembly.dialects import callee_dialect, caller_dialect
from vosd.config.assembly.inventory import Inventory, Written, place_of
from vosd.config.assembly.rate_groups import ReadGroup
from vosd.config.assembly.rate_groups import digest as version_of
from vosd.config.assembly.users import by_username, check_dynamic_names, check_names, check_neighbours, check_numbers
from vosd.config.keys.objects import (
    DEFAULT_CURRENCY,
    AccountKeys,
    MappingGatewayKeys,
    RoutingGatewayKeys,
)
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.phones import PhoneKeys
from vosd.config.keys.proofs import read_credentials
from vosd.config.keys.schema import InstallationKeys
from vosd.config.keys.session_timers import session_timer_settings
from vosd.config.keys.vendors import read_login, registration
from vosd.config.reader.document import Scalar, Section
from vosd.config.reader.fields import FROM_RATES
from vosd.config.reader.problems import ProblemList
from vosd.routing.identify import SourceConflict, SourceIndex
from vosd.routing.route_table import RouteTable
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.trunks.dialect import Redirects
from vosd.trunks.gateways import MappingGateway, RoutingGateway, registering_half
from vosd.trunks.phone import Phone


class Objects(NamedTuple):
    """Everything that a call is decided by, as read."""

    rate_groups: Inventory[ReadGroup]
    accounts: Inventory[AccountKeys]
    mapping_gateways: Inventory[MappingGatewayKeys]
    routing_gateways: Inventory[RoutingGatewayKeys]
    phones: Inventory[PhoneKeys]


def build_catalogue(
    objects: Objects, parameters: ParameterKeys, keys: InstallationKeys, problems: ProblemList
) -> Catalogue:
    """Put the catalogue together; it may only be used if ``problems`` has no errors afterwards."""
    call_parameters = _call_parameters(keys, parameters)
    digest = call_parameters.digest
    groups = {name: read.group for name, read in objects.rate_groups.things().items()}
    accounts = {
        name: _account(written, objects, parameters, problems) for name, written in objects.accounts.written.items()
    }
    customers = {
        name: _mapping_gateway(written, objects, accounts, parameters, digest, problems)
        for name, written in objects.mapping_gateways.written.items()
    }
    phones = {
        name: _phone(written, objects, accounts, parameters, digest, keys.offline_gateway, problems)
        for name, written in objects.phones.written.items()
    }
    check_names(objects.phones, (objects.mapping_gateways, objects.routing_gateways), problems)
    check_numbers(objects.phones, problems)
    trunks_and_phones = {**customers, **{name: phone.gateway for name, phone in phones.items()}}
    by_name = {**objects.mapping_gateways.written, **objects.phones.written}
    check_dynamic_names(objects.routing_gateways, objects.mapping_gateways, problems)
    vendors = {
        name: _routing_gateway(written, objects, parameters, digest, problems)
        for name, written in objects.routing_gateways.written.items()
    }
    by_name = {**objects.routing_gateways.written, **by_name}
    registering = [registering_half(vendor) for vendor in vendors.values() if vendor.credentials is not None]
    domains = by_username((*trunks_and_phones.values(), *registering), by_name, problems)
    proven = [user for users in domains.values() for user in users.values()]
    check_neighbours(customers.values(), proven, by_name, problems)
    _follow_references_of_broken(objects, problems)
    versions = {name: group.version for name, group in groups.items()}
    return Catalogue(
        version=_version(accounts, versions, customers, list(vendors.values()), phones, call_parameters),
        accounts=accounts,
        rate_groups=groups,
        mapping_gateways=trunks_and_phones,
        routing_gateways=vendors,
        sources=_sources(customers.values(), objects, problems),
        routes=RouteTable(vendors.values(), phones.values()),
        parameters=call_parameters,
        phones=phones,
        users=domains.pop(""),
        domains=domains,
    )


def _call_parameters(keys: InstallationKeys, parameters: ParameterKeys) -> CallParameters:
    return CallParameters(
        max_call_seconds=keys.limits.max_call_seconds,
        record_server_hang_up=parameters.record_server_hang_up,
        dead_call_billing=keys.limits.dead_call_billing,
        digest=DigestSettings(
            realm=keys.sip.realm,
            algorithms=keys.sip.digest.algorithms,
            status=parameters.challenge_code,
            nonce_life_ms=1_000 * parameters.challenge_timeout,
        ),
        lock_out=LockOutSettings(parameters.lock_out_retry, 1_000 * parameters.lock_out_suspend),
        challenges_max=parameters.challenge_retry,
    )


def _account(
    written: Written[AccountKeys], objects: Objects, parameters: ParameterKeys, problems: ProblemList
) -> Account:
    keys = written.thing
    group = _group(keys.rate_group, written, objects, problems)
    if group is not None:
        check_currency(written, group.currency, problems)
    return account_of(keys, group.currency if group else None, parameters)


def check_currency(written: Written[AccountKeys], group_currency: str, problems: ProblemList) -> None:
    """Note an account whose currency is not that of its rate group."""
    keys = written.thing
    if keys.currency not in {None, group_currency}:
        place = place_of(written.section, "currency")
        expected = f"{group_currency}, the currency of rate group {keys.rate_group!r}"
        problems.error(place, f"{written.label}.currency", expected, keys.currency)


def account_of(keys: AccountKeys, group_currency: str | None, parameters: ParameterKeys) -> Account:
    """Settle an account; ``group_currency`` is that of its rate group, None where it has none."""
    advance_minutes = keys.advance_minutes or parameters.advance_minutes
    return Account(
        id=keys.id,
        type=keys.type,
        rate_group=keys.rate_group,
        overdraft_limit=keys.overdraft_limit,
        balance_low=keys.balance_low,
        currency=group_currency or keys.currency or DEFAULT_CURRENCY,
        enabled=keys.enabled,
        expires_at=keys.expires_at,
        max_concurrent=keys.max_concurrent,
        max_cps=keys.max_cps,
        max_call_seconds=keys.max_call_seconds,
        advance_s=advance_minutes * 60,
    )


def _mapping_gateway(
    written: Written[MappingGatewayKeys],
    objects: Objects,
    accounts: dict[str, Account],
    parameters: ParameterKeys,
    digest: DigestSettings,
    problems: ProblemList,
) -> MappingGateway:
    keys = written.thing
    _check_payer(keys, written, objects, accounts, problems)
    credentials = None
    if keys.auth.is_given:
        section, label = _inner(written, "auth")
        credentials = read_credentials(keys.auth, keys.auth.username, section, label, digest, problems)
    return MappingGateway(
        name=keys.name,
        account=keys.account,
        hosts=keys.hosts,
        tech_prefix=keys.tech_prefix,
        rate_group=keys.rate_group,
        max_call_seconds=keys.max_call_seconds,
        max_concurrent=keys.max_concurrent,
        max_cps=keys.max_cps,
        max_requests=keys.max_requests,
        enabled=keys.enabled,
        dialect=caller_dialect(keys, parameters),
        credentials=credentials,
    )


def _phone(
    written: Written[PhoneKeys],
    objects: Objects,
    accounts: dict[str, Account],
    parameters: ParameterKeys,
    digest: DigestSettings,
    offline_gateway: str | None,
    problems: ProblemList,
) -> Phone:
    keys = written.thing
    _check_payer(keys, written, objects, accounts, problems)
    if keys.offline_gateway is not None:
        objects.routing_gateways.find(keys.offline_gateway, written, "offline_gateway", problems)
    _check_redirect_server(keys.redirect_server, written, objects, problems)
    username = keys.username or keys.number
    credentials = read_credentials(keys, username, written.section, written.label, digest, problems)
    phone = keys.phone(session_timer_settings(keys.session_timer, parameters), offline_gateway)
    return msgspec.structs.replace(phone, gateway=msgspec.structs.replace(phone.gateway, credentials=credentials))


def _check_redirect_server(
    name: str | None, written: Written[PhoneKeys], objects: Objects, problems: ProblemList
) -> None:
    if name is None:
        return
    found = objects.routing_gateways.find(name, written, "redirect_server", problems)
    if found is not None and found.thing.redirects is not Redirects.FOLLOW:
        place, expected = place_of(written.section, "redirect_server"), "a routing gateway with redirects: follow"
        problems.error(place, f"{written.label}.redirect_server", expected, name)


def _check_payer(
    keys: MappingGatewayKeys | PhoneKeys,
    written: Written[object],
    objects: Objects,
    accounts: dict[str, Account],
    problems: ProblemList,
) -> None:
    """Note what is wrong with who pays for somebody's calls, and by which rates."""
    objects.accounts.find(keys.account, written, "account", problems)
    group = _group(keys.rate_group, written, objects, problems)
    account = accounts.get(keys.account)
    if account is not None and group is not None and group.currency != account.currency:
        place = place_of(written.section, "rate_group")
        expected = f"a rate group in {account.currency}, the currency of account {account.id!r}"
        problems.error(place, f"{written.label}.rate_group", expected, group.name)
    if account is not None and account.rate_group is None and keys.rate_group is None:
        expected = f"a rate_group here or on account {account.id!r}: without one every call is refused"
        problems.warning(written.section.place, written.label, expected)


def _routing_gateway(
    written: Written[RoutingGatewayKeys],
    objects: Objects,
    parameters: ParameterKeys,
    digest: DigestSettings,
    problems: ProblemList,
) -> RoutingGateway:
    keys = written.thing
    vendor = objects.accounts.find(keys.account, written, "account", problems)
    if vendor is not None and vendor.thing.rate_group is None and not keys.allow_unrated:
        expected = (
            f"a rate_group on account {keys.account!r}, or allow_unrated: yes; "
            "without a buy rate the gateway takes no call"
        )
        problems.warning(place_of(written.section, "account"), written.label, expected)
    login, registered = _logins(written, problems)
    credentials = None
    if keys.dynamic.is_given:
        section, label = _inner(written, "dynamic")
        credentials = read_credentials(keys.dynamic, keys.dynamic.username, section, label, digest, problems)
    return RoutingGateway(
        name=keys.name,
        account=keys.account,
        addresses=keys.address or ((keys.registration.server,) if keys.registration.server is not None else ()),
        prefixes=_called_prefixes(written, vendor, objects, problems),
        priority=keys.priority,
        max_concurrent=keys.max_concurrent,
        max_cps=keys.max_cps,
        max_requests=keys.max_requests,
        response_timeout_ms=keys.response_timeout,
        max_call_seconds=keys.max_call_seconds,
        progress_timeout_ms=keys.progress_timeout,
        ring_timeout_ms=keys.ring_timeout,
        failover_codes=None if keys.failover_codes is None else frozenset(keys.failover_codes),
        failover_after_ringing=keys.failover_after_ringing,
        allow_unrated=keys.allow_unrated,
        enabled=keys.enabled,
        dialect=callee_dialect(keys, parameters),
        login=login,
        registration=None if registered is None else registration(keys.registration, registered.username, registered),
        credentials=credentials,
        ping=keys.options_ping.ping(),
    )


def _logins(written: Written[RoutingGatewayKeys], problems: ProblemList) -> tuple[Login | None, Login | None]:
    """Return what a vendor is proven for calls, and for a registration; either stands in for the other."""
    auth, register = written.thing.auth, written.thing.registration
    calls = registered = None
    if auth.is_given:
        calls = read_login(auth.username, auth, *_inner(written, "auth"), problems)
    if register.is_given and register.has_password:
        username = register.username or auth.username
        registered = read_login(username, register, *_inner(written, "register"), problems)
    return calls or registered, registered or calls


def _inner(written: Written[object], key: str) -> tuple[Section, str]:
    """Return the section behind a key of an object, and what messages call it."""
    entry = written.section.entries.get(key)
    section = entry.node if entry is not None and isinstance(entry.node, Section) else written.section
    return section, f"{written.label}.{key}"


def _called_prefixes(
    written: Written[RoutingGatewayKeys],
    vendor: Written[AccountKeys] | None,
    objects: Objects,
    problems: ProblemList,
) -> tuple[str, ...]:
    """Return what the gateway takes; ``from_rates`` needs the vendor's rates."""
    keys = written.thing
    if FROM_RATES not in keys.prefixes:
        return tuple(dict.fromkeys(keys.prefixes)) or ("*",)
    if vendor is None:
        return ()
    if vendor.thing.rate_group is None:
        expected = f"a rate_group on account {keys.account!r} to take prefixes from"
        problems.error(place_of(written.section, "prefixes"), f"{written.label}.prefixes", expected, FROM_RATES)
        return ()
    read = objects.rate_groups.things().get(vendor.thing.rate_group)
    return () if read is None else tuple(rate.prefix for rate in read.group.rates)


def _follow_references_of_broken(objects: Objects, problems: ProblemList) -> None:
    """Check what objects with mistakes refer to, so that one round of corrections is enough."""
    for written in (
        *objects.accounts.broken.values(),
        *objects.mapping_gateways.broken.values(),
        *objects.routing_gateways.broken.values(),
        *objects.phones.broken.values(),
    ):
        for key, named in (("account", objects.accounts), ("rate_group", objects.rate_groups)):
            entry = written.section.entries.get(key)
            if entry is not None and isinstance(entry.node, Scalar) and entry.node.text:
                named.find(entry.node.text, written, key, problems)


def _group(name: str | None, named_by: Written[object], objects: Objects, problems: ProblemList) -> RateGroup | None:
    if name is None:
        return None
    found = objects.rate_groups.find(name, named_by, "rate_group", problems)
    return None if found is None else found.thing.group


def _sources(gateways: Iterable[MappingGateway], objects: Objects, problems: ProblemList) -> SourceIndex:
    """Index the sources; of two gateways that claim the same, the later is noted and left out."""
    remaining = list(gateways)
    while True:
        try:
            return SourceIndex(remaining)
        except SourceConflict as conflict:
            first = objects.mapping_gateways.written[conflict.first]
            second = objects.mapping_gateways.written[conflict.second]
            expected = (
                f"hosts or a tech_prefix that differ from {conflict.first!r} at {first.section.place}: {conflict}"
            )
            problems.error(place_of(second.section, "hosts"), f"{second.label}.hosts", expected)
            remaining = [gateway for gateway in remaining if gateway.name != conflict.second]


def _version(*content: object) -> str:
    return version_of(msgspec.json.encode(content, enc_hook=_told, order="deterministic"))


def _told(value: object) -> str:
    """Write what JSON has no word for; another password is another catalogue, and the digest gives nothing away."""
    return value.reveal() if isinstance(value, Secret) else str(value)
