"""Every key that the reference documents changes what the switch runs with: a forgotten key fails here by its name.

A value other than the default is found for each key and written into a file; the settings and the catalogue of that
file must differ from those of the same file without it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any, Final, NamedTuple, get_args

import pytest
from doubles.certificates import Authority
from doubles.countries import write_countries
from doubles.data.wavs import wav
from doubles.sti import VIRTUAL_NOW_MS, Sti, usual
from pydantic.fields import FieldInfo

from vosd.catalogue.problems import ConfigError
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.calendars import CalendarKeys
from vosd.config.keys.currencies import CurrencyKeys, ExchangeRateKeys
from vosd.config.keys.destinations import DestinationClassKeys
from vosd.config.keys.dids import DidKeys
from vosd.config.keys.groups import AddressGroupKeys, GatewayGroupKeys
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.number_lists import NumberListKeys, NumberPoolKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.period_rates import PeriodRatesKeys
from vosd.config.keys.rate_groups import RateGroupKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.keys.routing_plans import RoutingPlanKeys
from vosd.config.keys.scheduled_reports import ScheduledReportKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.load import load
from vosd.config.reader.fields import FromText, Keys
from vosd.config.reader.reading import section_in_list, section_of

LOGIN: Final = {"username": "bob", "password": "secret"}
FILE: Final[Mapping[str, Any]] = {
    "rate_groups": [
        {"name": "other", "rates": [{"prefix": "44", "billing_rate": "0.012"}, {"prefix": "33", "billing_rate": "1"}]},
        {"name": "sell", "rates": [{"prefix": "44", "billing_rate": "0.012"}]},
        {
            "name": "lone",
            "rates": [{"prefix": "44", "billing_rate": "0.012"}],
            "origins": [{"name": "eea", "prefixes": "49", "rate_group": "sell"}],
        },
    ],
    "accounts": [
        {"id": "customer", "rate_group": "sell"},
        {"id": "other"},
        {
            "id": "lone",
            "spend_limits": [{"per": "hour", "amount": "9"}],
            "destination_limits": [{"destination": "premium"}],
        },
    ],
    "mapping_gateways": [{"name": "lone", "account": "customer", "hosts": "192.0.2.1"}],
    "routing_gateways": [
        {"name": "carrier", "account": "customer", "address": "192.0.2.9", "redirects": "follow"},
        {"name": "last", "account": "customer", "address": "192.0.2.9"},
    ],
    "phones": [
        {"number": "7001", "account": "customer", "password": "secret"},
        {"number": "7002", "account": "customer", "password": "secret"},
    ],
    "number_lists": [{"name": "bad", "patterns": ["4477*"]}],
    "number_pools": [{"name": "berlin", "numbers": ["4930123"]}],
    "calendars": [
        {"name": "week", "entries": [{"weekdays": "mon"}]},
        {"name": "lone", "entries": [{"weekdays": "sun"}]},
    ],
    "dids": [{"number": "4930123", "account": "customer", "trunk": "carrier", "calendar": "week"}],
    "address_groups": [{"name": "sites", "hosts": "192.0.2.21"}],
    "gateway_groups": [{"name": "cheap", "gateways": "carrier"}],
    "routing_plans": [{"name": "premium"}],
    "period_rates": [{"name": "night", "periods": [{"name": "day", "rate_group": "sell", "calendar": "week"}]}],
    "currencies": [{"code": "USD", "fee_precision": "3"}],
    "access": {"database": "countries.mmdb", "rules": [{"action": "ignore", "networks": "192.0.2.5"}]},
    "stir": {
        "sign": {"key": "key.pem", "certificate_url": "https://certificates.example.com/shaken.pem"},
        "verify": {"roots": "root.pem"},
        "country": "1",
    },
    "media": {
        "engine": "rtpengine",
        "rtpengine": [{"name": "one", "address": "192.0.2.5:2223"}],
        "sounds": {"busy": "busy.wav", "other": "busy.wav"},
    },
    "bilateral": [
        {"account": "acme", "url": "https://peer.example.com/api/v1", "their_account": "us", "token": "secret"}
    ],
    "reports": [{"name": "morning", "report": "daily", "directory": "/srv/reports"}],
    "webhooks": [{"name": "crm", "url": "https://crm.example.com/vosd"}],
    "radius": {"servers": [{"address": "192.0.2.3", "secret": "secret"}], "accounting": {"calls": "answered"}},
    "exchange_rates": [{"base": "USD", "quote": "KWD", "rate": "0.3"}],
    "destination_classes": [{"name": "premium", "prefixes": "4490"}, {"name": "satellite", "prefixes": "881"}],
}
"""The last object of each list is the one whose keys are tried."""

MODELS: Final[Mapping[str, type[Keys]]] = {
    "": InstallationKeys,
    "parameters": ParameterKeys,
    "rate_groups": RateGroupKeys,
    "rates": RateKeys,
    "accounts": AccountKeys,
    "mapping_gateways": MappingGatewayKeys,
    "routing_gateways": RoutingGatewayKeys,
    "phones": PhoneKeys,
    "number_lists": NumberListKeys,
    "number_pools": NumberPoolKeys,
    "dids": DidKeys,
    "address_groups": AddressGroupKeys,
    "gateway_groups": GatewayGroupKeys,
    "calendars": CalendarKeys,
    "routing_plans": RoutingPlanKeys,
    "period_rates": PeriodRatesKeys,
    "currencies": CurrencyKeys,
    "exchange_rates": ExchangeRateKeys,
    "destination_classes": DestinationClassKeys,
    "reports": ScheduledReportKeys,
}

WITHOUT_EFFECT: Final = {
    "billing.ask_above": "for commands",
    "billing.confirm_above": "for commands",
    "billing.confirm_above_by": "for commands",
    "rates.memo": "a comment",
    "routing_gateways.tls": "needs sip.tls.identities with files: test_config_transports",
    "rate_groups.memo": "for vosd rates groups",
    "rate_groups.notice_days": "for imports, which read it themselves",
}

VALUES: Final = (
    "7", "70", "700", "7000", "12000", "yes", "no", "0", "EUR", "2", "3", "0.5", "192.0.2.77", "udp:127.0.0.1:5060",
    "udp:127.0.0.1:5070", "*2", "30/6", "2030-01-01T00:00:00Z", "unlimited", "HIDDEN", "0xa0", "SHA-256", "407",
    "0.10@60", "example.org", "/path", "phone", {"486": "480"}, "a" * 32, "b" * 64, "text", "sqlite+aiosqlite:///other.db",
    "phone_offline", "DE",
)  # fmt: skip
"""Tried in this order; words of enums are found by themselves."""

PLAYED: Final = {"type": "announcement", "sound": "busy", "address": None}
INSTEAD: Final[Mapping[str, Mapping[str, Any]]] = {
    "routing_gateways.preset": {"preset": "asterisk"},
    "short_calls.order": {"order": "yes"},
    "access.database": {"database": "numbers.mmdb"},
    "access.rules.scope": {"scope": "sdp"},
    "sip.websocket.origins": {"origins": "https://phone.example.org"},
    "dids.trunk": {"trunk": "last"},
    "dids.phones": {"phones": "7001", "trunk": None},
    "dids.otherwise": {"otherwise": "7001"},
    "number_format.from": {"from": "e164"},
    "number_format.to": {"to": "e164"},
    "causes.received": {"received": {"127": "31"}},
    "causes.sent": {"sent": {"16": "31"}},
    "route": {"route": "sip:proxy.example.net"},
    "strict_proxy": {"strict_proxy": "yes", "outbound_proxy": "192.0.2.66"},
    "account": {"account": "other"},
    "period_rates.periods.calendar": {"calendar": None},
    "multiplier": {"multiplier": "0.5", "rate_group": None},
    "rate_group": {"rate_group": "lone"},
    "derive.from": {"from": "other"},
    "rate_groups.area_names": {"area_names": "sell"},
    "rate_groups.currency": {"currency": "EUR", "origins": None},
    "origins.rate_group": {"rate_group": "other"},
    "origins.areas": {"areas": ["1205,1251"]},
    "origins.prefixes": {"prefixes": "33"},
    "private_rate_group": {"private_rate_group": "lone"},
    "period_rates": {"period_rates": "night"},
    "offline_gateway": {"offline_gateway": "carrier"},
    "redirect_server": {"redirect_server": "carrier"},
    "voicemail": {"voicemail": "carrier"},
    "routing_plan": {"routing_plan": "premium"},
    "gateway_groups.gateways": {"gateways": ["last"]},
    "gateways": {"gateways": ["carrier"]},
    "address_groups": {"address_groups": "sites"},
    "groups": {"groups": "cheap"},
    "gateways_allow": {"gateways_allow": ["carrier"]},
    "gateways_deny": {"gateways_deny": ["carrier"]},
    "order": {"order": ["cost"]},
    "routes_file": {"routes_file": "routes.csv"},
    "password_file": {"password_file": "password.txt", "password": None},
    "ha1_md5": {"ha1_md5": "a" * 32, "password": None},
    "ha1_sha256": {"ha1_md5": "a" * 32, "ha1_sha256": "b" * 64, "password": None},
    "first_rate": {"first_rate": "0.5", "first_duration": "30"},
    "first_duration": {"first_rate": "0.5", "first_duration": "30"},
    "accounts.fee_unit": {"fee_unit": "0.5", "fee_precision": "2"},
    "default_expires": {"default_expires": "70"},
    "max_expires": {"max_expires": "7100"},
    "retention.at": {"at": "03:30", "calls": "9 months"},
    "nightly.at": {"at": "04:30"},
    "nightly.timezone": {"timezone": "Europe/Berlin"},
    "retention.minimum": {"minimum": "9 months"},
    "retention.calls": {"calls": "180 days"},
    "retention.ledger": {"calls": "180 days", "ledger": "7 years"},
    "retention.numbers": {"numbers": "90 days"},
    "retention.sums": {"calls": "180 days", "sums": "7 years"},
    "retention.payments": {"payments": "9 months"},
    "retention.payments_archive": {"payments": "9 months", "payments_archive": "/srv/payments"},
    "daily_totals": {"daily_totals": "10 years"},
    "metrics.listen": {"listen": "127.0.0.1:9464"},
    "api.listen": {"listen": "127.0.0.1:8080"},
    "api.trusted_proxies": {"listen": "127.0.0.1:8081", "trusted_proxies": ["192.0.2.0/24"]},
    "api.allow": {"listen": "127.0.0.1:8081", "allow": ["192.0.2.0/24"]},
    "api.access_log": {"listen": "127.0.0.1:8081", "access_log": "none"},
    "metrics.allow": {"listen": "127.0.0.1:9465", "allow": ["192.0.2.0/24"]},
    "phone_service.port": {"ip": "192.0.2.3", "port": "81"},
    "t1": {"t1": "0.4"},
    "password": {"password": "another secret"},
    "SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START": {"SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START": "On"},
    "SS_GATEWAY_SWITCH_STOP_AFTER_USER_BUSY": {"SS_GATEWAY_SWITCH_STOP_AFTER_USER_BUSY": "Off"},
    "SERVER_BILLING_RECORD_ILLEGAL_CALL": {"SERVER_BILLING_RECORD_ILLEGAL_CALL": "1"},
    "SERVER_BILLING_FORWARD_PREFIX": {"SERVER_BILLING_FORWARD_PREFIX": "99"},
    "SS_STARTBILLINGTIME": {"SS_STARTBILLINGTIME": "1"},
    "SS_GATEWAY_SWITCH_UNTIL_CONNECT": {"SS_GATEWAY_SWITCH_UNTIL_CONNECT": "On"},
    "failover_codes": {"failover_codes": "486"},
    "sip.advertise": {"advertise": "192.0.2.3"},
    "caller_pool": {"caller_pool": "berlin"},
    "callee_rewrite": {"callee_rewrite": [["00", ""]]},
    "caller_rewrite": {"caller_rewrite": [["00", ""]]},
    "number_lists.file": {"file": "numbers.txt", "patterns": None},
    "number_pools.file": {"file": "numbers.txt", "numbers": None},
    "calendar": {"calendar": "lone"},
    "accounts.agent": {"agent": "customer"},
    "accounts.sub_rate_groups": {"sub_rate_groups": "sell"},
    "spend_limits.per": {"per": "day"},
    "spend_limits.action": {"action": "hang up"},
    "destination_limits.destination": {"destination": "satellite"},
    "destination_classes.name": {"name": "maritime"},
    "timezone": {"timezone": "Europe/Berlin"},
    "holidays.country": {"country": "FR"},
    "holidays.subdivision": {"subdivision": "BE"},
    "from": {"from": "09:00", "to": "17:00"},
    "to": {"from": "00:00", "to": "17:00"},
    "date": {"date": "2026-12-31"},
    "holidays.dates": {"dates": "2026-12-23"},
    "dates": {"dates": "2026-12-24..2026-12-31"},
    "number_portability.url": {"url": "http://192.0.2.4/{number}"},
    "number_portability.server": {"server": "192.0.2.4", "url": None},
    "authorization": {"authorization": "Bearer another"},
    "redirect_server.address": {"address": "192.0.2.4"},
    "servers.address": {"address": "192.0.2.4"},
    "servers.secret": {"secret": "another secret"},
    "servers.secret_file": {"secret_file": "password.txt", "secret": None},
    "accounting.calls": {"calls": "all"},
    "webhook.secret": {"secret": "another secret"},
    "secret_file": {"secret_file": "password.txt"},
    "call_reports.secret": {"secret": "another secret"},
    "hep.key": {"key": "a secret"},
    "hep.server": {"server": "tcp:192.0.2.4:9061"},
    "sign.key": {"key": "other.pem"},
    "sign.certificate": {"certificate": "certificate.pem"},
    "certificate_url": {"certificate_url": "https://other.example.com/shaken.pem"},
    "verify.roots": {"roots": "root_2.pem"},
    "verify.crl": {"crl": "revoked.pem"},
    "stir.country": {"country": "44"},
    "stir.attest": {"attest": "gateway"},
    "call_reports.url": {"url": "http://192.0.2.4/calls"},
    "invoices.number": {"number": "R{number}"},
    "invoices.credit_number": {"credit_number": "N{number}"},
    "invoices.template_file": {"template_file": "numbers.txt"},
    "invoices.labels_file": {"labels_file": "numbers.txt"},
    "invoices.logo_file": {"logo_file": "numbers.txt"},
    "bilateral.url": {"url": "https://other.example.com/api/v1"},
    "bilateral.token": {"token": "not a secret"},
    "webhooks.url": {"url": "https://other.example.com/vosd"},
    "webhooks.name": {"name": "other"},
    "webhooks.secret": {"secret": "not a secret"},
    "webhooks.types": {"types": "call.ended"},
    "webhook.url": {"url": "http://192.0.2.4/alarms"},
    "emergency_services": {"emergency_services": {"sos": "112"}},
    "SS_MEDIAPROXYSAMENAT": {"SS_MEDIAPROXYSAMENAT": "On"},
    "rtp_port_range": {"rtp_port_range": "20000,29999"},
    "qos_rtp": {"qos_rtp": "0xb8"},
    "SS_RTP_PORT_RANGE": {"SS_RTP_PORT_RANGE": "20000,29999"},
    "IVR_RTP_PORT": {"IVR_RTP_PORT": "50000,50999"},
    "announcements": {"announcements": {"busy": "busy"}},
    "routing_gateways.type": {**PLAYED},
    "routing_gateways.sound": {**PLAYED, "sound": "other"},
    "routing_gateways.repeat": {**PLAYED, "repeat": "2"},
    "routing_gateways.end_code": {**PLAYED, "end_code": "486"},
    "music_on_hold": {"music_on_hold": "busy"},
    "ring_back": {"ring_back": "busy"},
    "end_warning_sound": {"end_warning_sound": "busy"},
    "media.sounds": {"sounds": {"other": "busy.wav"}},
    "media.mode": {"mode": "off"},
    "media.addresses": {"addresses": "192.0.2.3"},
    "rtpengine.address": {"address": "192.0.2.5:2224"},
    "mail.username": {"username": "alice"},
    "mail.sender": {"sender": "switch@example.com"},
    "mail.recipients": {"recipients": ["boss@example.com"]},
}
"""For keys that take the name of something else, or stand beside or instead of others: what is written, by the end of
their paths; None takes a key away."""

BESIDE: Final[Mapping[str, Mapping[str, Any]]] = {
    "mapping_gateways.auth": LOGIN,
    "routing_gateways.auth": LOGIN,
    "routing_gateways.dynamic": LOGIN,
    "routing_gateways.register": {"server": "192.0.2.8", **LOGIN},
    "routing_gateways.options_ping": {"interval": "60"},
    "mapping_gateways.stir": {"attest": "customer"},
    "mapping_gateways.transfer_keys": {"blind": "#1"},
    "phones.transfer_keys": {"blind": "#1"},
    "phone_service": {"ip": "192.0.2.3"},
    "metrics": {"listen": "127.0.0.1:9465"},
    "api": {"listen": "127.0.0.1:8081"},
    "dynamic_blacklist": {"target_limit": "5"},
    "number_portability": {"url": "http://192.0.2.3/{number}"},
    "redirect_server": {"address": "192.0.2.3"},
    "alarms.webhook": {"url": "http://192.0.2.3/alarms"},
    "call_reports": {"url": "http://192.0.2.3/calls"},
    "hep": {"server": "udp:192.0.2.3:9060"},
    "alarms.mail": {"server": "192.0.2.3", "sender": "vosd@example.com", "recipients": ["noc@example.com"], **LOGIN},
    "mapping_gateways.dynamic_blacklist": {"target_limit": "5"},
    "phones.dynamic_blacklist": {"target_limit": "5"},
    "calendars.holidays": {"country": "DE"},
    "rate_groups.derive": {"from": "sell"},
}
"""Keys of a section that its others need."""


OF_BOTH: Final = {"", "parameters", "routing"}
"""Sections of the installation with keys that are about objects."""
FOR_OBJECTS: Final = {"access", "media", "stir"}
"""Sections of the installation that objects need."""


class Key(NamedTuple):
    """One key of the reference."""

    top: str
    """The list or section that ``MODELS`` has."""
    sections: tuple[str, ...]
    """The sections inside of it."""
    name: str
    field: FieldInfo

    @property
    def path(self) -> str:
        return ".".join(part for part in (self.top, *self.sections, self.name) if part)

    @property
    def section(self) -> str:
        return ".".join(part for part in (self.top, *self.sections) if part)


def every_key() -> Iterator[Key]:
    for top, model in MODELS.items():
        yield from keys_of(top, (), model)


def keys_of(top: str, sections: tuple[str, ...], model: type[Keys]) -> Iterator[Key]:
    for name, field in model.by_key().items():
        nested = section_of(field.annotation) or section_in_list(field.annotation)
        if nested is None:
            yield Key(top, sections, name, field)
        else:
            yield from keys_of(top, (*sections, name), nested)


def readings(annotation: Any) -> Iterator[FromText]:
    for part in get_args(annotation):
        if isinstance(part, FromText):
            yield part
        yield from readings(part)


def another_value(key: Key) -> Mapping[str, Any]:
    """Return what is written so that a key has another value than its default."""
    for end, instead in INSTEAD.items():
        if f".{key.path}".endswith(f".{end}") and key.name == end.rpartition(".")[2]:
            return instead
    own = [word for word in key.field.metadata if isinstance(word, FromText)]
    reading = (own or list(readings(key.field.annotation)))[0]
    words = reading.expected.removeprefix("one of ").split(", ")
    for value in (*words, *VALUES):
        try:
            read = reading.read(value) if isinstance(value, reading.kind) else None
        except (ValueError, KeyError):
            continue
        if read is not None and key.field.default not in (read, (read,)):
            return {key.name: value}
    return pytest.fail(f"{key.path}: add a value that is not its default to VALUES or INSTEAD")


def beside(key: Key) -> Mapping[str, Any]:
    """Return what a key may need of the file: those of objects little of the installation, and the other way round.

    The file is read again for each key, and a whole one takes twice the time.
    """
    if key.section in OF_BOTH:
        return FILE
    is_of_object = key.top in MODELS.keys() - OF_BOTH
    return {name: each for name, each in FILE.items() if name in FOR_OBJECTS or (name in MODELS) is is_of_object}


def written(key: Key, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the file with values beside what the section of a key needs."""
    file: dict[str, Any] = json.loads(json.dumps(beside(key)))
    target: dict[str, Any] = file
    if key.top == "rates":
        target = file["rate_groups"][-1]["rates"][-1]
    elif key.top in file:
        target = file[key.top][-1]
    elif key.top:
        target = file.setdefault(key.top, {})
    if key.sections[:1] == ("dynamic",):
        del target["address"]
    for section in key.sections:
        inner = target.setdefault(section, {})
        target = inner[-1] if isinstance(inner, list) else inner
    target.update({**BESIDE.get(key.section, {}), **values})
    for name in [name for name, value in target.items() if value is None]:
        del target[name]
    return file


def in_force(directory: Path, file: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what the switch runs with, given a file."""
    text = json.dumps(file)
    if text not in LOADED:
        path = directory / "vosd.yaml"
        path.write_text(text, encoding="utf-8")
        found = load(path, {})
        LOADED[text] = (found.settings, found.transports, found.catalogue.version)
    return LOADED[text]


LOADED: Final[dict[str, tuple[object, ...]]] = {}
"""By the text of the file."""


APART: Final = {
    "sip.tls",
    "sip.tls.identities",
    "api.tls",
    "api.brand",
    "api.oidc",
    "api.oidc.roles",
    "invoices.agents",
    "reports",
}
"""Sections that need another one beside them; tests of their own try their keys."""
TRIED: Final = [key for key in every_key() if key.path not in WITHOUT_EFFECT and key.section not in APART]


_STI, _OTHER = usual()[0], Sti(VIRTUAL_NOW_MS)
SIGNED: Final = {
    "key.pem": usual()[1].key,
    "other.pem": _STI.issue().key,
    "certificate.pem": usual()[1].chain.decode(),
    "root.pem": _STI.root_pem,
    "root_2.pem": _OTHER.root_pem,
    "revoked.pem": _STI.revocations(usual()[1].certificate).decode(),
}
"""Files of ``stir``."""


def write_signed(directory: Path) -> None:
    """Write the files of ``stir``."""
    for name, content in SIGNED.items():
        (directory / name).write_text(content, encoding="ascii")
        (directory / name).chmod(0o600)


SECTIONS: Final = sorted({key.section for key in TRIED})


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section or "top")
def test_each_key_of_a_section_changes_what_the_switch_runs_with(tmp_path: Path, section: str) -> None:
    (tmp_path / "password.txt").write_text("another secret\n", encoding="utf-8")
    (tmp_path / "password.txt").chmod(0o600)
    for name in ("countries.mmdb", "numbers.mmdb"):
        write_countries(tmp_path / name)
    (tmp_path / "numbers.txt").write_text("4930124\n", encoding="utf-8")
    (tmp_path / "busy.wav").write_bytes(wav())
    (tmp_path / "routes.csv").write_text("prefix,gateway\n44,carrier\n", encoding="utf-8")
    write_signed(tmp_path)
    of_section = [key for key in TRIED if key.section == section]
    without_effect = [
        key.path
        for key in of_section
        if in_force(tmp_path, written(key, another_value(key))) == in_force(tmp_path, written(key, {}))
    ]
    assert without_effect == []


def test_the_keys_of_tls_change_what_the_switch_runs_with(tmp_path: Path) -> None:
    write_countries(tmp_path / "countries.mmdb")
    write_signed(tmp_path)
    (tmp_path / "busy.wav").write_bytes(wav())
    authority = Authority(tmp_path)
    one, two = authority.issue("one", "192.0.2.1"), authority.issue("two", "192.0.2.1")
    base = {"certificate": one.file, "private_key": one.key, "ca": authority.root.file}
    changes = {
        "certificate": {"certificate": two.file, "private_key": two.key},
        "private_key": {"certificate": two.file, "private_key": two.key},
        "ca": {"ca": None},
        "verify_client": {"verify_client": "required"},
        "verify_server": {"verify_server": "no"},
        "min_version": {"min_version": "1.3"},
        "forward_secrecy": {"forward_secrecy": "yes"},
    }
    tls = {key.name: key for key in every_key() if key.section == "sip.tls"}
    assert tls.keys() == changes.keys()
    for name, key in tls.items():
        texts = [{one: str(text) for one, text in {**base, **more}.items() if text} for more in ({}, changes[name])]
        without, changed = (in_force(tmp_path, written(key, text)) for text in texts)
        assert changed != without, name
    identity = {"name": "vendor", "certificate": str(one.file), "private_key": str(one.key)}
    changes = {
        "name": {"name": "other"},
        "certificate": {"certificate": str(two.file), "private_key": str(two.key)},
        "private_key": {"certificate": str(two.file), "private_key": str(two.key)},
        "ca": {"ca": str(authority.root.file)},
        "server_name": {"server_name": "sip.vendor.example"},
        "verify_server": {"verify_server": "no"},
        "host_names": {"host_names": "sip.example.org"},
    }
    keys = {key.name: key for key in every_key() if key.section == "sip.tls.identities"}
    assert keys.keys() == changes.keys()
    section = {name: str(text) for name, text in base.items()}
    without = in_force(tmp_path, written(tls["ca"], {**section, "identities": [identity]}))
    for name, change in changes.items():
        text = {**section, "identities": [{**identity, **change}]}
        assert in_force(tmp_path, written(tls["ca"], text)) != without, name


NOT_READ: Final = {
    "state_dir", "control_socket", "retention.payments_archive", "retention.exports", "reports.directory",
}  # fmt: skip
"""Keys that name a directory, or a file that nothing reads while the configuration is loaded."""
PAIRS: Final = {
    "api.tls": ("certificate", "key"),
    "sip.tls": ("certificate", "private_key"),
    "sip.tls.identities": ("certificate", "private_key"),
}
"""Keys that need each other, by their section."""


def has_path(annotation: Any) -> bool:
    """Return whether values of a type name a file."""
    return annotation is Path or any(map(has_path, get_args(annotation)))


def with_file(key: Key, name: str) -> dict[str, Any]:
    """Return a configuration in which a key names a file."""
    own = dict(zip(PAIRS.get(key.section, ()), ("certificate.pem", "key.pem"), strict=False))
    text = {"sounds": {"other": name}} if key.name == "sounds" else {key.name: name}
    file = written(key, {**own, **another_value(key), **own, **text})
    if key.top == "" and key.sections[:1] == ("api",):
        file["api"]["listen"] = "127.0.0.1:8081"
    if key.section == "sip.tls.identities":
        tls = file["sip"]["tls"]
        tls.update({"certificate": "certificate.pem", "private_key": "key.pem"})
        tls["identities"] = [{"name": "vendor", **tls["identities"]}]
    return file


def test_each_key_that_names_a_file_refuses_one_that_may_be_waited_for(tmp_path: Path) -> None:
    """A socket stands for a pipe: it is refused by the same rule, and without that it is an error at once."""
    write_countries(tmp_path / "countries.mmdb")
    (tmp_path / "busy.wav").write_bytes(wav())
    write_signed(tmp_path)
    keys = {key.path: key for key in every_key() if has_path(key.field.annotation)}
    assert keys.keys() >= NOT_READ
    read_anyway = []
    with socket(AF_UNIX) as waiting:
        waiting.bind(str(tmp_path / "waiting.wav"))
        for path in keys.keys() - NOT_READ:
            (tmp_path / "vosd.yaml").write_text(json.dumps(with_file(keys[path], "waiting.wav")), encoding="utf-8")
            try:
                found = load(tmp_path / "vosd.yaml", {}).api_problems
            except ConfigError as error:
                found = error.problems
            if not any("no pipe, socket or device" in str(each) for each in found):
                read_anyway.append(path)
    assert read_anyway == []


def test_the_table_of_keys_without_effect_is_short_and_true() -> None:
    assert WITHOUT_EFFECT.keys() <= {key.path for key in every_key()}
    assert len(WITHOUT_EFFECT) == 7
