"""Servers of RADIUS: from keys to settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from vosd.config.assembly.conversion import full_conversion
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.radius import RadiusAccountingKeys, RadiusKeys, RadiusServerKeys
from vosd.config.reader.document import Section
from vosd.config.reader.reading import read_sound_part
from vosd.engine.settings import AccountedCalls, AccountingSettings
from vosd.radius.servers import DeathRules
from vosd.radius.settings import RadiusServer, RadiusSettings, RadiusUsers

_SERVER: Final = full_conversion(
    RadiusServerKeys,
    RadiusServer,
    by_hand={"secret": "secret"},
    elsewhere={"secret_file": "the secret, which is read from it"},
)
_RADIUS: Final = full_conversion(
    RadiusKeys,
    RadiusSettings,
    renamed={"require_message_authenticator": "wants_proof"},
    by_hand={"servers": "servers", "nas_identifier": "nas_identifier", "dead_after": "rules", "dead_time": "rules"},
    elsewhere={"accounting": "the settings of accounting", "authenticate": "the parameters of the catalogue"},
)
_ACCOUNTING: Final = full_conversion(
    RadiusAccountingKeys,
    AccountingSettings,
    elsewhere={"timeout": "the servers, as accounting asks them", "tries": "the servers, as accounting asks them"},
)


def sound_keys(document: Section, defaults: Mapping[str, Any]) -> InstallationKeys:
    """Return the keys of an installation that has mistakes without these, for the checks of everything else.

    Users whose passwords servers judge are known all the same: each would be reported as one without a password.
    """
    keys, entry = read_sound_part(InstallationKeys, document, defaults), document.entries.get("radius")
    if entry is None or (isinstance(entry.node, Section) and "authenticate" not in entry.node.entries):
        return keys
    try:
        users = RadiusUsers(entry.node.text_of("authenticate").lower() if isinstance(entry.node, Section) else "")
    except ValueError:  # this is the mistake
        users = RadiusUsers.ALL
    return keys.model_copy(update={"radius": keys.radius.model_copy(update={"authenticate": users})})


def radius_settings(keys: RadiusKeys, node: str) -> RadiusSettings | None:
    """Return the servers and how they are asked; None without servers."""
    servers = tuple(_SERVER(each, secret=each.secret) for each in keys.servers if each.secret is not None)
    if not servers:
        return None
    rules = DeathRules(failures=keys.dead_after, dead_ms=keys.dead_time)
    return _RADIUS(keys, servers=servers, nas_identifier=keys.nas_identifier or node, rules=rules)


def accounting_settings(keys: RadiusKeys, radius: RadiusSettings | None) -> AccountingSettings | None:
    """Return how calls are accounted; None = they are not."""
    if radius is None or keys.accounting.calls is AccountedCalls.OFF:
        return None
    asked = replace(radius, timeout_ms=keys.accounting.timeout, tries=keys.accounting.tries)
    return _ACCOUNTING(keys.accounting, radius=asked)
