"""Recordings of accounts and keys of trunks, where no relay of the switch records the calls or reads the keys."""

from typing import Final

from vosd.billing.accounts import Account
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition
from vosd.config.assembly.media import may_read_keys, missing_recorder
from vosd.config.assembly.named_first import named_first
from vosd.config.assembly.remembered import ReadItems
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.media import MediaMode, MediaParameters
from vosd.trunks.phone import Phone

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
