"""Settings of the installation: from keys to what the engine is started with."""

from collections.abc import Mapping
from typing import Final

import msgspec

import vosd
from vosd.billing.invoice_terms import IssuerTerms
from vosd.cdr.retention import KeepSettings
from vosd.config.assembly.conversion import by_name, full_conversion
from vosd.config.assembly.lookups import lookup_settings
from vosd.config.assembly.media import media_engine_settings
from vosd.config.assembly.radius import accounting_settings, radius_settings
from vosd.config.keys.advertise import announced
from vosd.config.keys.alarms import AlarmKeys, MailKeys, WebhookKeys
from vosd.config.keys.api import IdentityProviderKeys
from vosd.config.keys.bilateral import BilateralKeys
from vosd.config.keys.call_reports import CallReportKeys
from vosd.config.keys.hep import HepKeys
from vosd.config.keys.installation import CdrKeys, InstallationKeys, JournalKeys, NightlyKeys, TraceKeys
from vosd.config.keys.invoices import AgentIssuerKeys, InvoiceKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.protection import OverloadKeys
from vosd.config.keys.retention import RetentionKeys
from vosd.config.keys.sip import HIDDEN, DnsKeys, RegistrarKeys, SipKeys, SipLimitKeys, TimerKeys, UnknownSource
from vosd.config.keys.webhooks import ReceiverKeys
from vosd.control.events import TYPES_BY_NAME
from vosd.engine.overload.load import OverloadSettings
from vosd.engine.settings import (
    AlarmSettings,
    BilateralSettings,
    CallReportSettings,
    CdrSettings,
    CertificateSettings,
    DnsSettings,
    HepSettings,
    IdentityProviderSettings,
    InvoiceSettings,
    MailSettings,
    NightlySettings,
    ReceiverSettings,
    RetentionSettings,
    ScheduledReport,
    Settings,
    TraceSettings,
    WebhookSettings,
)
from vosd.sip.registration.keepalive import KeepAlive
from vosd.sip.settings import Limits, RegistrarSettings, SipSettings, Timers

MIB: Final = 1024 * 1024

_TIMERS: Final = full_conversion(TimerKeys, Timers)
_LIMITS: Final = full_conversion(SipLimitKeys, Limits, renamed={"max_line": "max_line_chars"})
_REGISTRAR: Final = full_conversion(
    RegistrarKeys,
    RegistrarSettings,
    renamed={"min_expires": "min_s", "max_expires": "max_s", "max_registrations": "max_bindings"},
    by_hand={"default_expires": "default_s"},
)
_DNS: Final = full_conversion(DnsKeys, DnsSettings)
_OVERLOAD: Final = full_conversion(OverloadKeys, OverloadSettings)
_CDR: Final = full_conversion(CdrKeys, CdrSettings)
_JOURNAL: Final = full_conversion(JournalKeys, KeepSettings, by_hand={"keep_files": "keep_files"})
_TRACE: Final = full_conversion(
    TraceKeys, TraceSettings, by_hand={"recent_mb": "recent_bytes", "failed_mb": "failed_bytes"}
)
_HEP: Final = full_conversion(HepKeys, HepSettings, by_hand={"server": "server"})
_NIGHTLY: Final = full_conversion(NightlyKeys, NightlySettings, by_hand={"at": "at_s", "timezone": "zone"})
_PROVIDER: Final = full_conversion(
    IdentityProviderKeys, IdentityProviderSettings, by_hand={name: name for name in ("issuer", "redirect_uri", "roles")}
)
_BILATERAL: Final = full_conversion(BilateralKeys, BilateralSettings)
_RETENTION: Final = full_conversion(RetentionKeys, RetentionSettings, by_hand={"at": "at_s", "timezone": "zone"})
_REPORTS: Final = full_conversion(
    CallReportKeys, CallReportSettings, elsewhere={"secret_file": "the secret, which is read from it"}
)
_DELIVERY: Final = full_conversion(
    ReceiverKeys,
    CallReportSettings,
    elsewhere={"name": "the receiver, beside its delivery", "types": "the receiver, beside its delivery"},
)
_LEVELS: Final = ("critical", "warning", "info", "off")
_ALARMS: Final = full_conversion(
    AlarmKeys,
    AlarmSettings,
    by_hand={**dict.fromkeys(_LEVELS, "levels"), "webhook": "webhook", "mail": "mail"},
    elsewhere={"short_calls": "the parameters of the catalogue"},
)
_WEBHOOK: Final = full_conversion(
    WebhookKeys, WebhookSettings, elsewhere={"secret_file": "the secret, which is read from it"}
)
_MAIL: Final = full_conversion(
    MailKeys, MailSettings, elsewhere={"password_file": "the password, which is read from it"}
)
_OF_THE_FORM: Final = "the settings of all issuers"
_ISSUER: Final = full_conversion(
    InvoiceKeys,
    IssuerTerms,
    elsewhere=dict.fromkeys(
        ("timezone", "agents", "template_file", "labels_file", "logo_file", "lock_after_days"), _OF_THE_FORM
    ),
)
_AGENT_ISSUER: Final = full_conversion(AgentIssuerKeys, IssuerTerms, elsewhere={"account": "the name of the terms"})
_SETTINGS: Final = full_conversion(
    InstallationKeys,
    Settings,
    by_hand={
        **by_name(
            "sip media phone_service cdr journal trace hep alarms call_reports webhooks radius metrics "
            "api retention nightly bilateral invoices"
        ),
        "access": "country_file",
        "database": "database_url",
        "number_portability": "lookups",
        "redirect_server": "lookups",
        "stir": "lookups",
        "log": "log_level",
    },
    elsewhere={
        "limits": "the parameters of the catalogue",
        "billing": "the parameters of the catalogue",
        "dynamic_blacklist": "the parameters of the catalogue",
        "offline_gateway": "the catalogue",
        "routing": "routing gateways that say nothing else",
        "preset": "other defaults, before the keys are read",
    },
)


def settings_of(
    keys: InstallationKeys,
    parameters: ParameterKeys,
    certificates: CertificateSettings | None,
    certificate_ends: Mapping[str, int],
    reports: tuple[ScheduledReport, ...],
) -> Settings:
    """Return the settings that the installation's own keys and the parameters make.

    ``certificates`` has what the files of ``stir`` say, ``certificate_ends`` when those of TLS end, by file;
    ``reports`` are those at fixed times.
    """
    sip, journal = keys.sip, keys.journal
    radius = radius_settings(keys.radius, keys.node)
    keep_files = parameters.cdr_files if journal.keep_files is None else journal.keep_files
    return _SETTINGS(
        keys,
        listen=sip.listen,
        advertise=announced(sip.listen, sip.advertise),
        sip=_sip_settings(sip, parameters),
        country_file=keys.access.database,
        database_url=keys.database.url,
        replica=keys.database.replica,
        report_statement_s=keys.database.report_seconds or None,
        start_without_s=keys.database.start_without,
        start_without_age_s=keys.database.start_without_age,
        cdr=_CDR(keys.cdr),
        journal=_JOURNAL(journal, keep_files=keep_files),
        dns=_DNS(sip.dns),
        trace=_TRACE(keys.trace, recent_bytes=keys.trace.recent_mb * MIB, failed_bytes=keys.trace.failed_mb * MIB),
        hep=None if keys.hep.server is None else _HEP(keys.hep, server=keys.hep.server),
        keep_alive=KeepAlive(
            message=parameters.keep_alive_message,
            period_ms=1_000 * parameters.keep_alive_period,
            send_interval_ms=parameters.keep_alive_send_interval,
            send_one_time=parameters.keep_alive_send_one_time,
            to_all=sip.nat.keepalive_all,
        ),
        phone_service=keys.phone_service.settings(),
        lookups=lookup_settings(keys, certificates),
        metrics=keys.metrics.settings(),
        api=keys.api.settings(keys.database.replica, certificate_ends),
        identity_provider=_identity_provider(keys.api.oidc),
        log_level=keys.log.level,
        alarms=_alarm_settings(keys.alarms),
        retention=_RETENTION(keys.retention, at_s=keys.retention.at, zone=keys.retention.timezone),
        nightly=_NIGHTLY(keys.nightly, at_s=keys.nightly.at, zone=keys.nightly.timezone),
        bilateral=tuple(map(_BILATERAL, keys.bilateral)),
        invoices=_invoice_settings(keys),
        reports=reports,
        call_reports=_REPORTS(keys.call_reports) if keys.call_reports.url else None,
        webhooks=tuple(_receiver(each) for each in keys.webhooks),
        radius=radius,
        accounting=accounting_settings(keys.radius, radius),
        overload=_OVERLOAD(sip.overload),
        media=media_engine_settings(keys),
    )


def _identity_provider(keys: IdentityProviderKeys) -> IdentityProviderSettings | None:
    if keys.issuer is None or keys.redirect_uri is None:
        return None
    roles = tuple((each.value, each.role) for each in keys.roles)
    return _PROVIDER(keys, issuer=keys.issuer, redirect_uri=keys.redirect_uri, roles=roles)


def _receiver(keys: ReceiverKeys) -> ReceiverSettings:
    types = frozenset().union(*(TYPES_BY_NAME[name] for name in keys.types or TYPES_BY_NAME))
    return ReceiverSettings(keys.name, types, _DELIVERY(keys))


def _invoice_settings(keys: InstallationKeys) -> InvoiceSettings:
    invoices = keys.invoices
    issuer = _ISSUER(invoices)
    return InvoiceSettings(
        issuer=issuer if issuer.name else msgspec.structs.replace(issuer, name=keys.node),
        agents={each.account: _AGENT_ISSUER(each) for each in invoices.agents},
        zone="UTC" if invoices.timezone is None else str(invoices.timezone),
        template_file=invoices.template_file,
        labels_file=invoices.labels_file,
        logo_file=invoices.logo_file,
        lock_after_days=invoices.lock_after_days,
    )


def _sip_settings(keys: SipKeys, parameters: ParameterKeys) -> SipSettings:
    product = f"vosd/{vosd.__version__}" if keys.server is None else keys.server
    return SipSettings(
        timers=_TIMERS(keys.timers, resend_ms=parameters.resend_interval),
        limits=_LIMITS(keys.limits),
        product=None if product == HIDDEN else product,
        answers_unknown_sources=keys.unknown_source is UnknownSource.REJECT,
        registrar=_REGISTRAR(keys.registrar, default_s=keys.registrar.granted_by_default),
    )


def _alarm_settings(keys: AlarmKeys) -> AlarmSettings:
    """Return the limits and levels of alarms, and who receives them."""
    webhook = _WEBHOOK(keys.webhook) if keys.webhook.url else None
    mail = _MAIL(keys.mail) if keys.mail.server else None
    return _ALARMS(keys, levels=keys.levels, webhook=webhook, mail=mail)
