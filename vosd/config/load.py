"""The configuration from file to settings and catalogue: every step, in order, and all mistakes at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

import vosd
from vosd.catalogue.catalogue import Catalogue
from vosd.config.assembly.amounts import Customer, check_currencies, check_rates
from vosd.config.assembly.assemble import Objects, build_catalogue
from vosd.config.assembly.destinations import check_destinations
from vosd.config.assembly.dialects import check_interfaces
from vosd.config.assembly.inventory import Inventory, label_of, place_of, read_inventory
from vosd.config.assembly.rate_groups import ReadGroup, read_rate_group
from vosd.config.assembly.rate_report import report_rates, summarise
from vosd.config.assembly.transports import read_transports
from vosd.config.assembly.users import check_offline_gateway
from vosd.config.keys.advertise import announced
from vosd.config.keys.model import Keys
from vosd.config.keys.objects import AccountKeys, MappingGatewayKeys, RoutingGatewayKeys
from vosd.config.keys.parameters import (
    OWN_DEFAULTS,
    PARAMETERS,
    PRESETS,
    Defaults,
    ParameterKeys,
    drop_out_of_scope,
    warn_of_parameters,
)
from vosd.config.keys.phones import PhoneKeys
from vosd.config.keys.schema import HIDDEN, InstallationKeys, Preset, UnknownSource
from vosd.config.reader.document import Scalar, Section
from vosd.config.reader.includes import read_files
from vosd.config.reader.problems import ConfigError, Place, Problem, ProblemList
from vosd.config.reader.reading import items_of, read_section
from vosd.config.reader.templates import check_template_keys, fill_from_template, take_templates
from vosd.engine.journal import KeepSettings
from vosd.engine.overload.load import OverloadSettings
from vosd.engine.settings import CdrSettings, DnsSettings, Settings, TraceSettings
from vosd.net.settings import TransportSettings
from vosd.net.tls import TlsContexts
from vosd.sip.registration.keepalive import KeepAlive
from vosd.sip.settings import Limits, RegistrarSettings, SipSettings, Timers

Model = TypeVar("Model", bound=Keys)
MIB: Final = 1024 * 1024
_TEMPLATED: Final[tuple[type[Keys], ...]] = (AccountKeys, MappingGatewayKeys, RoutingGatewayKeys, PhoneKeys)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used."""

    settings: Settings
    catalogue: Catalogue
    problems: tuple[Problem, ...]
    """Warnings."""
    rate_report: tuple[Problem, ...]
    """Each rate that rounding would hurt; ``problems`` only says how many there are."""
    transports: TransportSettings
    tls: TlsContexts | None
    """What the files of ``transports.tls`` hold, ready to use: what was checked is what is used."""
    places: Mapping[str, Place]
    """Where each setting of the installation stands, by dotted key; those left out are missing."""
    account_places: Mapping[str, Place]
    """Where each account's currency stands, or the account itself."""


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read and validate the configuration at ``path``.

    Raises:
        ConfigError: with every mistake that was found.
    """
    problems = ProblemList()
    document = read_files(path, environ, problems)
    places = _places(document)
    defaults = defaults_of(document)
    parameters = take_parameters(document, defaults, problems)
    objects = _objects(document, parameters, defaults, problems)
    installation = read_section(InstallationKeys, document, "", problems, defaults.settings)
    keys = installation or InstallationKeys()
    catalogue = build_catalogue(objects, parameters, keys, problems)
    check_rates(objects.rate_groups.things().values(), keys.limits.max_call_seconds, problems)
    customers: list[Customer] = [*objects.mapping_gateways.written.values(), *objects.phones.written.values()]
    check_currencies(customers, objects.routing_gateways, catalogue.accounts, problems)
    rate_report = _rate_report(objects, problems)
    if installation is not None:
        check_interfaces(objects.routing_gateways, keys.sip.listen, problems)
        check_destinations(objects.routing_gateways, keys.sip.listen, problems)
    place = places.get("offline_gateway", Place(str(path), 0))
    check_offline_gateway(keys.offline_gateway, objects.routing_gateways, place, problems)
    _warn_of_settings(keys, Place(str(path), 0), places, problems)
    transports, tls = read_transports(keys.sip, parameters.qos_signal, places, problems)
    account_places = {name: place_of(each.section, "currency") for name, each in objects.accounts.written.items()}
    found = problems.in_order()
    if problems.has_errors:
        raise ConfigError(found)
    return Loaded(settings_of(keys, parameters), catalogue, found, rate_report, transports, tls, places, account_places)


def defaults_of(section: Section) -> Defaults:
    """Return what the preset lays under a section; a preset that does not exist is noted with the other keys."""
    entry = section.entries.get("preset")
    written = entry.node.text.lower() if entry is not None and isinstance(entry.node, Scalar) else ""
    return next((PRESETS[preset] for preset in Preset if preset.value == written), OWN_DEFAULTS)


def take_parameters(document: Section, defaults: Defaults, problems: ProblemList) -> ParameterKeys:
    """Take the parameters out of the document; broken ones are replaced, so that the rest can be checked."""
    entry = document.entries.pop(PARAMETERS, None)
    section = Section(Place("", 0))
    if entry is not None and isinstance(entry.node, Section):
        section = drop_out_of_scope(entry.node, problems)
    elif entry is not None and not entry.is_empty:
        problems.error(entry.place, PARAMETERS, "names and values of parameters")
    parameters = read_section(ParameterKeys, section, PARAMETERS, problems, defaults.parameters)
    if parameters is None:
        return ParameterKeys()
    warn_of_parameters(parameters, section, problems)
    return parameters


def _objects(document: Section, parameters: ParameterKeys, defaults: Defaults, problems: ProblemList) -> Objects:
    """Take templates and lists of objects out of the document."""
    templates = take_templates(document, problems)
    known = (key for model in _TEMPLATED for key in (*model.by_key(), *model.not_built))
    check_template_keys(templates, frozenset(known), problems)

    def laid_under(section: Section, list_name: str) -> Mapping[str, str]:
        if list_name != "mapping_gateways":
            return {}
        return defaults_of(section).mapping_gateways or defaults.mapping_gateways

    def read_list(kind: str, list_name: str, name_key: str, model: type[Model]) -> Inventory[Model]:
        sections = [
            fill_from_template(section, templates, label_of(section, list_name, name_key, index), problems)
            for index, section in enumerate(items_of(document, list_name, problems))
        ]

        def read(section: Section, label: str) -> Model | None:
            return read_section(model, section, label, problems, laid_under(section, list_name))

        return read_inventory(sections, list_name, Inventory(kind), name_key, read, problems)

    def read_group(section: Section, label: str) -> ReadGroup | None:
        return read_rate_group(section, label, parameters, problems)

    groups = items_of(document, "rate_groups", problems)
    return Objects(
        read_inventory(groups, "rate_groups", Inventory("rate group"), "name", read_group, problems),
        read_list("account", "accounts", "id", AccountKeys),
        read_list("mapping gateway", "mapping_gateways", "name", MappingGatewayKeys),
        read_list("routing gateway", "routing_gateways", "name", RoutingGatewayKeys),
        read_list("phone", "phones", "number", PhoneKeys),
    )


def _rate_report(objects: Objects, problems: ProblemList) -> tuple[Problem, ...]:
    found: list[Problem] = []
    for written in objects.rate_groups.written.values():
        report = report_rates(written.thing)
        summarise(report, written.thing, written.section.place, problems)
        found += report
    return tuple(found)


def _warn_of_settings(
    keys: InstallationKeys, whole_file: Place, places: Mapping[str, Place], problems: ProblemList
) -> None:
    told = zip(keys.sip.listen, announced(keys.sip.listen, keys.sip.advertise), strict=True)
    wildcard = next((each for each, said in told if said is None and ip_address(each.host).is_unspecified), None)
    if wildcard is not None:
        place = places.get("sip.listen", whole_file)
        expected = "sip.advertise beside it: peers cannot send to an address of all zeros"
        problems.warning(place, "sip.listen", expected, str(wildcard))


def settings_of(keys: InstallationKeys, parameters: ParameterKeys) -> Settings:
    """Return what the installation's own keys and the parameters say."""
    sip, dns = keys.sip, keys.sip.dns
    product = f"vosd/{vosd.__version__}" if sip.server is None else sip.server
    return Settings(
        node=keys.node,
        listen=sip.listen,
        advertise=announced(sip.listen, sip.advertise),
        sip=SipSettings(
            timers=Timers(sip.timers.t1, sip.timers.t2, sip.timers.t4, parameters.resend_interval),
            limits=Limits(sip.limits.max_message_bytes, sip.limits.max_headers, sip.limits.max_line),
            product=None if product == HIDDEN else product,
            answers_unknown_sources=sip.unknown_source is UnknownSource.REJECT,
            registrar=RegistrarSettings(
                sip.registrar.granted_by_default,
                sip.registrar.min_expires,
                sip.registrar.max_expires,
                sip.registrar.max_contacts,
                sip.registrar.max_registrations,
            ),
        ),
        database_url=keys.database.url,
        state_dir=keys.state_dir,
        control_socket=keys.control_socket,
        shutdown_grace_s=keys.shutdown_grace,
        on_sigterm=keys.on_sigterm,
        cdr=CdrSettings(keys.cdr.batch_rows, keys.cdr.batch_ms),
        journal=KeepSettings(keys.journal.keep_minutes, keys.journal.keep_files),
        dns=DnsSettings(dns.servers, dns.timeout, dns.attempts, dns.min_ttl, dns.max_ttl, dns.stale),
        trace=TraceSettings(keys.trace.recent_mb * MIB, keys.trace.failed_mb * MIB),
        keep_alive=KeepAlive(
            message=parameters.keep_alive_message,
            period_ms=1_000 * parameters.keep_alive_period,
            send_interval_ms=parameters.keep_alive_send_interval,
            send_one_time=parameters.keep_alive_send_one_time,
            to_all=sip.nat.keepalive_all,
        ),
        phone_service=keys.phone_service.settings(),
        log_level=keys.log.level,
        overload=OverloadSettings(sip.overload.max_lag),
    )


def _places(section: Section, above: str = "") -> dict[str, Place]:
    """Return the place of every key of the installation, nested ones dotted."""
    places = {}
    for name, entry in section.entries.items():
        places[f"{above}{name}"] = entry.place
        if isinstance(entry.node, Section):
            places |= _places(entry.node, f"{above}{name}.")
    return places
