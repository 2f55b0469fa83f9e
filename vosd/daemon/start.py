"""The configuration at a start: a mistake in the files ends it, one between files and database does not (ADR 59)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from vosd.base.errors import VosError
from vosd.catalogue.held_currencies import held_currencies
from vosd.catalogue.problems import ConfigError, DefinitionProblem, SourceLine
from vosd.cdr.ports import StoreUnavailable
from vosd.config.assembly.rate_tables import tables_of_switch
from vosd.config.assembly.remembered import Remembered
from vosd.config.control_socket import state_dir_by_line
from vosd.config.kept import KeptCatalogue, digests_of
from vosd.config.load import Loaded, load
from vosd.config.reader.texts import DiskTexts
from vosd.config.stored import Stored, Wanted
from vosd.daemon.claim import was_killed
from vosd.daemon.definitions import report_unread
from vosd.engine.booking.balances import CurrencyChangedError
from vosd.obs.events import Event, log as _log
from vosd.storage.kept_objects import MissingObjectsError

WARNINGS_MAX: Final = 100
"""Most warnings of a configuration that one load logs."""


class Started(NamedTuple):
    """Loaded configuration that a switch starts with."""

    loaded: Loaded
    remembered: Remembered
    """For the first reload."""
    fault: str | None = None
    """Why it is not what the files and the database say; None = it is."""
    wanted: Wanted | None = None
    """The question of the load to the database; None = another catalogue than that of the load is in force."""


class StartPutOffError(VosError):
    """The files are bad, and so is what the switch before, which was killed, has left: a start may succeed later.

    No mistake of a person who waits for this start: with the exit code of a bad configuration the service manager
    would not try again, and calls would end although the files are mended a minute later.
    """

    def __init__(self, fault: ConfigError) -> None:
        super().__init__(
            "the switch before was killed, and has left no configuration that can be loaded: mend the files; a service"
            f" manager tries again until then\n{fault.in_brief()}"
        )


def load_at_start(config: Path, definitions: Callable[[Wanted], Stored]) -> Started:
    """Load the configuration with the definitions of the database.

    Where the files are good and do not go together with the database, the last good catalogue is returned; where there
    is none, that of the files alone. So it is where the files are bad and the switch before was killed: an edit that
    was not finished yet must not end the service (ADR 181). A switch that carries calls by what held yesterday is
    better than none. So is one without its API, whose process is started again until the files of ``api.tls`` belong
    together.

    Raises:
        ConfigError: the files are bad, and the switch before ended in order.
        StartPutOffError: they are, and the switch before was killed and has left no catalogue that can be loaded.
    """
    remembered, texts, asked = Remembered(), DiskTexts(), list[Wanted]()
    load_calls = partial(load, config, tables=tables_of_switch)

    def noted(wanted: Wanted) -> Stored:
        asked.append(wanted)
        return definitions(wanted)

    try:
        loaded = load_calls(definitions=noted, texts=texts, remembered=remembered)
    except ConfigError as error:
        fault = error
    else:
        report_unread(loaded.stored.unread)
        report_api(loaded)
        return Started(loaded, remembered, wanted=asked[0])
    state_dir = asked[0].state_dir if asked else state_dir_by_line(config)
    kept = KeptCatalogue(state_dir)
    manifest, goes_on = kept.manifest(), was_killed(state_dir)
    if not asked and not goes_on:  # the files could not even be read
        raise fault
    alone: Loaded | None = None
    try:
        alone = load_calls()
    except ConfigError:
        # Without objects of the database the files may be incomplete: they are at fault where they have changed.
        if not goes_on and (not manifest.has_objects or manifest.files != digests_of(texts.contents)):
            raise fault from None
    last_good: Loaded | None = None
    if manifest.files:
        try:
            last_good = load_calls(
                definitions=lambda wanted: kept.stored(manifest, wanted.decks), texts=kept.texts(manifest)
            )
        except (ConfigError, MissingObjectsError) as error:
            why = error.in_brief() if isinstance(error, ConfigError) else str(error)
            _log.error("last_good_catalogue_unusable", why=why)
    in_force = last_good or alone
    if in_force is None:
        raise StartPutOffError(fault) if goes_on else fault
    _log.error(
        Event.CATALOGUE_FALLBACK.value,
        why=fault.in_brief(),
        means=f"{'the files without the database are' if last_good is None else 'the last good catalogue is'} in force",
        do="correct the files or the deck, then vosd reload",
    )
    report_api(in_force)
    return Started(in_force, remembered, fault.in_brief())


def report_warnings(problems: Sequence[DefinitionProblem]) -> None:
    """Log warnings of a configuration: the first of them, for calls wait meanwhile, and the number of the others."""
    for problem in problems[:WARNINGS_MAX]:
        _log.warning("configuration", problem=str(problem))
    if (more := len(problems) - WARNINGS_MAX) > 0:
        _log.warning("configuration", problem=f"{more} more", do="vosd check")


def report_api(loaded: Loaded, before: Loaded | None = None) -> None:
    """Log that the API cannot run with its files; or that it can, unlike with those of ``before``."""
    if loaded.api_problems:
        _log.error(
            Event.API_CERTIFICATE_REFUSED.value,
            why="\n".join(map(str, loaded.api_problems)),
            means="the API cannot be started, one that runs goes on as it was; calls are not affected",
        )
    elif before is not None and before.api_problems:
        _log.info(Event.API_CERTIFICATE_ACCEPTED.value)


def as_mistakes(error: CurrencyChangedError, loaded: Loaded) -> ConfigError:
    """Return an error that names each such account with its file and line, and the remedy."""
    accounts = loaded.catalogue.accounts
    written = {name: accounts[name].currency for name in error.held}
    return ConfigError(held_currencies(error.held, written, loaded.account_places))


def login_as_mistake(error: StoreUnavailable, loaded: Loaded) -> ConfigError:
    """Return an error that names the line of a user or password that the database refuses."""
    place = loaded.places.get("database.url", SourceLine("", 0))
    expected = f"a user and password that the database takes: {error}"
    return ConfigError([DefinitionProblem(place.file, place.line, "database.url", None, expected)])
