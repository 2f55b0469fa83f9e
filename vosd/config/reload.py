"""A changed configuration for the running switch: some settings change at once, others need a restart.

The whole file is validated first. A file with mistakes changes nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vosd.catalogue.losses import Loss, Ordered, losses
from vosd.catalogue.problems import ConfigError, DefinitionProblem, ProblemList, SourceLine
from vosd.catalogue.user_changes import compared_users
from vosd.config.assembly.rate_tables import RateTables, TablesInMemory
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.config.places import is_one_login_apart
from vosd.config.stored import Stored, Wanted, nothing_stored

RESTART_KEYS: Final[Mapping[str, str]] = {
    "node": "node",
    "listen": "sip.listen",
    "advertise": "sip.advertise",
    "sip": "sip",
    "database_url": "database.url",
    "state_dir": "state_dir",
    "control_socket": "control_socket",
    "cdr": "cdr",
    "trace": "trace",
    "dns": "sip.dns",
    "media": "media",
}
"""Settings that only a restart changes, and the key that each is written under.

Of ``database.url`` a reload takes user and password.
"""

_OF_A_RESTART: Final = "a restart: the change takes effect after it"
_OF_ANOTHER_STATE_DIR: Final = (
    "the content of the directory of before in it: the journal there has the running calls, and those that are not"
    " booked yet. Stop the switch, move it, start"
)
_FOLLOWING: Final = frozenset({"advertise", "media"})
"""Settings that follow from ``sip.listen`` and ``sip.advertise`` where their key is left out."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration in force after a reload, with problems and losses."""

    in_force: Loaded
    problems: tuple[DefinitionProblem, ...]
    """Warnings, and mistakes of the API; of a bad file, all its mistakes."""
    is_accepted: bool
    """False: the file is bad, and ``in_force`` is the running configuration."""
    lost: tuple[Loss, ...] = ()
    """Objects of the running catalogue that the new one has not."""


def reload(
    path: Path,
    running: Loaded,
    environ: Mapping[str, str] = os.environ,
    tables: Callable[[Path], RateTables] = lambda _state_dir: TablesInMemory(),
    definitions: Callable[[Wanted], Stored] = nothing_stored,
    remembered: Remembered | None = None,
) -> Reloaded:
    """Load ``path`` again and decide which of its settings hold from now on.

    ``tables``, ``definitions`` and ``remembered`` are as in ``load``.

    Settings that need sockets, files or the database opened anew keep their running values, with a warning
    for each that changed. Another user or password of the same database is taken. What needs a socket that is not open
    is a mistake until the restart. Settings of the API keep their running values while it cannot run with its files.
    """
    try:
        opened = running.settings.listen
        loaded = load(path, environ, tables, definitions, remembered=remembered, opened=opened)
    except ConfigError as error:
        return Reloaded(running, error.problems, is_accepted=False)
    kept = {field: getattr(running.settings, field) for field in RESTART_KEYS}
    resend_ms = loaded.settings.sip.timers.resend_ms  # a parameter, not of the file's ``sip``
    kept["sip"] = replace(running.settings.sip, timers=replace(running.settings.sip.timers, resend_ms=resend_ms))
    if is_one_login_apart(loaded.settings.database_url.reveal(), running.settings.database_url.reveal()):
        kept["database_url"] = loaded.settings.database_url
    waiting = _waiting(path, kept, running, loaded)
    if loaded.api_problems:
        kept["api"] = running.settings.api
    changes = loaded.catalogue.changes_since(running.catalogue)  # compared here, and not while calls wait
    users = compared_users(running.catalogue, loaded.catalogue, changes)
    catalogue = replace(loaded.catalogue, changes=changes._replace(users=users))
    in_force = replace(loaded, catalogue=catalogue, settings=replace(loaded.settings, **kept))
    lost = losses(running.catalogue, catalogue, loaded.gone_rates, _ordered(running.stored, loaded.stored))
    problems = (*loaded.problems, *loaded.api_problems, *waiting)
    return Reloaded(in_force, problems, is_accepted=True, lost=lost)


def _ordered(running: Stored, wanted: Stored) -> Ordered:
    """Return what differs by orders: the command that imported a deck or changed an object has shown what it takes."""
    before = {deck.group: deck.digest for deck in running.decks}
    imported = {deck.group for deck in wanted.decks if before.get(deck.group) != deck.digest}

    changed = {} if wanted.unkept is None else wanted.unkept.changes
    is_anew = wanted.unkept is not None and wanted.unkept.everything

    def was_ahead(kind: str, name: str) -> bool:
        # A clock that was ahead has begun it, and it is planned again: as by orders.
        version = running.objects[kind][name]
        return running.at > wanted.at and version.begins_at > wanted.at

    def has_ended(kind: str, name: str) -> bool:
        # Where all was read anew, the database may have lost what it had: no order has ended that.
        is_gone = name in running.objects.get(kind, ()) and name not in wanted.objects.get(kind, ())
        return is_gone and (not is_anew or (kind, name) in changed or was_ahead(kind, name))

    def was_planned(kind: str, name: str) -> bool:
        if not has_ended(kind, name):
            return False
        end = changed.get((kind, name))
        return was_ahead(kind, name) if end is None else end.begins_at > end.made_at

    changed_groups, changed_lists = (_changed(running, wanted, kind) for kind in ("rate_groups", "number_lists"))
    return Ordered(has_ended, was_planned, imported | changed_groups, changed_lists)


def _changed(running: Stored, wanted: Stored, kind: str) -> set[str]:
    before = running.objects.get(kind, {})
    return {name for name, each in wanted.objects.get(kind, {}).items() if before.get(name, each) is not each}


def _waiting(path: Path, kept: Mapping[str, object], running: Loaded, loaded: Loaded) -> tuple[DefinitionProblem, ...]:
    problems = ProblemList()
    for field, key in RESTART_KEYS.items():
        if field in _FOLLOWING and key not in loaded.places and key not in running.places:
            continue
        if kept[field] != getattr(loaded.settings, field):
            place = loaded.places.get(key, SourceLine(str(path), 0))
            problems.warning(place, key, _OF_ANOTHER_STATE_DIR if field == "state_dir" else _OF_A_RESTART)
    return problems.in_order()
