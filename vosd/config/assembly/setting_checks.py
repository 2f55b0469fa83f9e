"""Settings that are right one by one, and together or on this machine may not be what is meant."""

import re
from collections.abc import Sequence
from heapq import nsmallest
from ipaddress import ip_address
from itertools import combinations
from operator import attrgetter
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vosd.base.host import is_public, is_valid_address
from vosd.billing.accounts import Account
from vosd.billing.destinations import DestinationClass
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, Origin
from vosd.cdr.retention import Age
from vosd.config.assembly.access import check_access
from vosd.config.assembly.credentials import warn_of_weak_passwords
from vosd.config.assembly.media import check_media, may_read_keys, may_relay, missing_recorder
from vosd.config.assembly.named_first import named_first
from vosd.config.assembly.remembered import ReadItems
from vosd.config.assembly.sounds import missing_player
from vosd.config.keys.advertise import announced
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.engine.settings import HttpListener
from vosd.net.settings import VerifyClient
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.media import MediaMode, MediaParameters
from vosd.trunks.phone import Phone

_WARNED: Final = attrgetter("value.dialect.end_warning_ms")
"""Chooses trunks whose callers are warned of the end of their calls, as the next one does phones."""
_PHONE_WARNED: Final = attrgetter("value.gateway.dialect.end_warning_ms")
_LIMITED: Final = attrgetter("value.spend_limits")
"""Chooses accounts whose hours and days have limits, which begin by the clock of their zone."""
_ALARM_MAIL: Final = attrgetter("value.alarm_mail")
"""Chooses accounts whose owners are mailed; it is asked about each account, and no function of Python."""


_INVERSE_ZONE: Final = re.compile(r"Etc/GMT([+-])([1-9]\d?)\Z")
_ZONES_MAX: Final = 20
"""Accounts that are warned of for their zones."""
_OFF: Final = MediaMode.OFF  # access to enum members is slow


def warn_of_missing_relay(media: MediaParameters, items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of accounts that want recordings, and of trunks and phones with keys for transfers.

    Nothing is recorded without a relay of the switch, and keys are read from INFO alone.
    """
    if missing := missing_recorder(media):
        found = named_first([("record", items.chosen("accounts", _is_recorded))])
        if found is not None:
            expected = f"{missing}; calls of {found.named}{found.others} are not recorded"
            problems.warning(found.place, found.key, expected)
    if not may_read_keys(media, MediaMode.AUTO):
        trunks, phones = items.chosen("mapping_gateways", _has_keys), items.chosen("phones", _phone_has_keys)
    elif not may_read_keys(media, MediaMode.OFF):
        trunks = items.chosen("mapping_gateways", _has_unread_keys)
        phones = items.chosen("phones", _phone_has_unread_keys)
    else:
        return
    found = named_first([("transfer_keys", trunks), ("transfer_keys", phones)])
    if found is not None:
        expected = (
            "media.engine relay and calls that it relays as well, or telephones that send keys as INFO: telephone "
            f"events of {found.named}{found.others} are not read"
        )
        problems.warning(found.place, found.key, expected)


def _is_recorded(definition: Definition[Account]) -> bool:
    return bool(definition.value.record)


def _has_keys(definition: Definition[MappingGateway]) -> bool:
    return definition.value.dialect.transfer_keys is not None


def _has_unread_keys(definition: Definition[MappingGateway]) -> bool:
    """Return whether a trunk has keys for transfers and relays no media of its own accord."""
    trunk = definition.value
    return trunk.dialect.transfer_keys is not None and trunk.media.mode is _OFF


def _phone_has_keys(definition: Definition[Phone]) -> bool:
    return definition.value.gateway.dialect.transfer_keys is not None


def _phone_has_unread_keys(definition: Definition[Phone]) -> bool:
    phone = definition.value.gateway
    return phone.dialect.transfer_keys is not None and phone.media.mode is _OFF


def warn_of_missing_player(media: MediaParameters, items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of trunks and phones with announcements that are not played."""
    missing = missing_player(media)
    if missing is None:
        return
    found = named_first(
        [
            ("announcements", items.chosen("mapping_gateways", _is_announcing)),
            ("announcements", items.chosen("phones", _phone_is_announcing)),
        ]
    )
    if found is not None:
        expected = f"{missing}; those of {found.named}{found.others} are not played"
        problems.warning(found.place, found.key, expected)


def warn_of_missing_warner(media: MediaParameters, items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of trunks and phones whose callers are to be warned of the end, and cannot be."""
    trunks = items.chosen("mapping_gateways", _WARNED)
    phones = items.chosen("phones", _PHONE_WARNED)
    if may_relay(media, MediaMode.OFF):
        return
    if may_relay(media, MediaMode.AUTO):
        trunks = [each for each in trunks if each.value.media.mode is _OFF]
        phones = [each for each in phones if each.value.gateway.media.mode is _OFF]
    found = named_first([("end_warning", trunks), ("end_warning", phones)])
    if found is not None:
        expected = (
            f"media.engine and calls that it relays as well: callers of {found.named}{found.others} are not warned"
        )
        problems.warning(found.place, found.key, expected)


def _is_announcing(definition: Definition[MappingGateway]) -> bool:
    return bool(definition.value.dialect.announcements)


def _phone_is_announcing(definition: Definition[Phone]) -> bool:
    return bool(definition.value.gateway.dialect.announcements)


def check_settings(
    keys: InstallationKeys,
    parameters: ParameterKeys,
    classes: Sequence[DestinationClass],
    source: CatalogueSource,
    items: ReadItems,
    origin: Origin,
    problems: ProblemList,
) -> None:
    """Warn of a wildcard that peers would have to send to, and of a past that is gone before it is compared with.

    A file in the place of the state directory is an error, and so are one socket for two purposes, and settings of
    media, and of ``access``, that do not fit together. ``items`` has the long lists of ``source``.
    """
    _refuse_file(keys.state_dir, origin, problems)
    _refuse_shared_sockets(keys, origin, problems)
    check_media(keys, parameters, origin, problems)
    if source.parameters is not None:
        warn_of_missing_relay(source.parameters.value.media, items, problems)
        warn_of_missing_player(source.parameters.value.media, items, problems)
        warn_of_missing_warner(source.parameters.value.media, items, problems)
    warn_of_weak_passwords(items, problems)
    check_access(keys.access, keys.media.engine, source, items, origin, problems)
    announcements = zip(keys.sip.listen, announced(keys.sip.listen, keys.sip.advertise), strict=True)
    wildcard = next(
        (each for each, said in announcements if said is None and ip_address(each.host).is_unspecified), None
    )
    if wildcard is not None:
        expected = "sip.advertise as well: peers cannot send to an address of all zeros"
        problems.warning(origin.place_of("sip.listen"), "sip.listen", expected, str(wildcard))
    if classes:
        _warn_of_short_past(keys, origin, problems)
    if keys.sip.tls.verify_client is VerifyClient.NO:
        _warn_of_certificates(items, problems)
    if not keys.alarms.mail.server:
        _warn_of_mails(items, problems)
    if keys.nightly.at is None or not keys.nightly.minimum:
        _warn_of_minimums(items, problems)
    if keys.invoices.lock_after_days is not None and (keys.nightly.at is None or not keys.nightly.invoices):
        expected = "nightly.invoices as well: no night blocks an account without it"
        if keys.nightly.at is None:
            expected = (
                "nightly.at with nightly.invoices as well: no night blocks an account without them, and those that were"
                " blocked stay so until `vosd account unblock`"
            )
        problems.warning(origin.place_of("invoices.lock_after_days"), "invoices.lock_after_days", expected)
    _warn_of_inverse_zones(keys, source, items, origin, problems)
    _warn_of_unsent_events(keys, origin, problems)


def _has_certificate_names(definition: Definition[MappingGateway]) -> bool:
    return bool(definition.value.certificate_names)


def has_minimum(definition: Definition[Account]) -> bool:
    """Return whether an account has a minimum of a month."""
    return bool(definition.value.minimum_consumption)


def _warn_of_inverse_zones(
    keys: InstallationKeys, source: CatalogueSource, items: ReadItems, origin: Origin, problems: ProblemList
) -> None:
    """Warn of zones such as Etc/GMT+8, which is eight hours behind UTC: months, days and hours of rates would be."""
    settings = {
        "invoices.timezone": keys.invoices.timezone,
        "nightly.timezone": keys.nightly.timezone,
        "retention.timezone": keys.retention.timezone,
    }
    found = [(origin.place_of(key), key, str(zone)) for key, zone in settings.items()]
    found += [(*each.at("timezone"), str(each.value.zone)) for each in source.calendars.sound.values()]
    limited = (each for each in items.chosen("accounts", _LIMITED) if _INVERSE_ZONE.match(each.value.timezone))
    accounts = nsmallest(_ZONES_MAX, limited, attrgetter("label"))
    found += [(*each.at("timezone"), each.value.timezone) for each in accounts]
    for place, key, name in found:
        match = _INVERSE_ZONE.match(name)
        if match is not None:
            sign, hours = match.groups()
            away, other = ("behind", "-") if sign == "+" else ("ahead of", "+")
            expected = (
                f"the zone of a place, such as Europe/Berlin, or Etc/GMT{other}{hours}: the signs of these names are "
                f"those of POSIX, and this one is {hours} h {away} UTC"
            )
            problems.warning(place, key, expected, name)


def _warn_of_unsent_events(keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    """Warn of webhooks at addresses to which nothing is sent; the addresses of names are looked up for each event."""
    for number, each in enumerate(keys.webhooks):
        host = urlsplit(each.url).hostname or ""
        if is_valid_address(host) and not is_public(host) and not each.allow_private:
            key = f"webhooks[{number}].url"
            expected = "an address of the internet, or allow_private: yes as well: nothing is sent to this one"
            problems.warning(origin.place_of(key), key, expected, host)


def _warn_of_certificates(items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of customers that are known by a certificate which they are not asked for."""
    found = named_first([("certificate_names", items.chosen("mapping_gateways", _has_certificate_names))])
    if found is not None:
        expected = (
            "sip.tls.verify_client optional or required: no caller is asked for a certificate, and those of "
            f"{found.named}{found.others} are not known by theirs"
        )
        problems.warning(found.place, found.key, expected)


def _warn_of_mails(items: ReadItems, problems: ProblemList) -> None:
    """Warn, once for all of them, of accounts whose owners are mailed by no server."""
    found = named_first([("alarm_mail", items.chosen("accounts", _ALARM_MAIL))])
    if found is not None:
        expected = f"alarms.mail as well, whose server sends them; {found.named}{found.others} get no mails"
        problems.warning(found.place, found.key, expected)


def _warn_of_minimums(items: ReadItems, problems: ProblemList) -> None:
    """Warn of minimums that the switch does not book."""
    having_one = items.chosen("accounts", has_minimum)
    if having_one:
        first = min(having_one, key=attrgetter("label"))
        expected = (
            "nightly.at with nightly.minimum as well, or `vosd month close` or `vosd ledger minimum` each month: no"
            f" night books the minimums of these accounts: {len(having_one)}"
        )
        problems.warning(*first.at("minimum_consumption"), expected)


def _refuse_file(state_dir: Path, origin: Origin, problems: ProblemList) -> None:
    """The directory may be missing: the start makes it. What cannot be looked at is left to the start as well."""
    for each in (state_dir, *state_dir.parents):
        try:
            is_file = each.exists() and not each.is_dir()
        except OSError:
            return
        if is_file:
            expected = (
                f"a directory; {each} is a file" if each == state_dir else f"a directory; {each} above it is a file"
            )
            problems.error(origin.place_of("state_dir"), "state_dir", expected, str(state_dir))


def _refuse_shared_sockets(keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    """Report a socket for TCP that two keys name: only the first process that opens it would get it."""
    streams = [("sip.listen", HttpListener(*each[1:])) for each in keys.sip.listen if each.transport != "udp"]
    http = (("metrics.listen", keys.metrics.listen), ("api.listen", keys.api.listen))
    streams += [(key, listen) for key, listen in http if listen is not None]
    for (first, one), (second, other) in combinations(streams, 2):
        if first != second and one.port == other.port and _is_one_address(one.host, other.host):
            expected = f"another port or address: {first} at {origin.place_of(first)} has this one, too"
            problems.error(origin.place_of(second), second, expected, str(other))


def _is_one_address(first: str, second: str) -> bool:
    """Return whether two sockets of one port are in each other's way: one of all addresses is in that of each."""
    one, other = ip_address(first), ip_address(second)
    return one == other or (one.version == other.version and (one.is_unspecified or other.is_unspecified))


def _warn_of_short_past(keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    """The past of ``destination_limits`` is read from numbers of calls; too little of it makes false alarms."""
    name = "numbers" if keys.retention.numbers is not None else "calls"
    age, days = getattr(keys.retention, name), keys.alarms.past_days
    if age is None or age.is_at_least(Age(days=days)):
        return
    expected = (
        f"at least the {days} days of alarms.past_days: what past calls used of each class in destination_classes is"
        " read from their numbers, and what is gone makes ordinary calls look like fraud"
    )
    problems.warning(origin.place_of(f"retention.{name}"), f"retention.{name}", expected, str(age))
