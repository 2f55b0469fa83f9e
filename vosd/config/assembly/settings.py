"""Settings of the installation: from keys to what the engine is started with."""

from typing import Final

import vosd
from vosd.config.keys.advertise import announced
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.sip import HIDDEN, UnknownSource
from vosd.engine.journal import KeepSettings
from vosd.engine.overload.load import OverloadSettings
from vosd.engine.settings import CdrSettings, DnsSettings, Settings, TraceSettings
from vosd.sip.registration.keepalive import KeepAlive
from vosd.sip.settings import Limits, RegistrarSettings, SipSettings, Timers

MIB: Final = 1024 * 1024


def settings_of(keys: InstallationKeys, parameters: ParameterKeys) -> Settings:
    """Return the settings that the installation's own keys and the parameters make."""
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
