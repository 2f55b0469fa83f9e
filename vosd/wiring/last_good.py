"""The last good configuration, for a front that starts while the files cannot be read, as the switch does (ADR 202)."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from vosd.catalogue.problems import ConfigError
from vosd.config.control_socket import state_dir_by_line
from vosd.config.kept import KeptCatalogue, KeptManifest
from vosd.config.places import state_dir_found_from
from vosd.daemon.claim import goes_on
from vosd.wiring.configured_switch import ConfiguredSwitch

if TYPE_CHECKING:
    from vosd.config.excerpt import Excerpt
    from vosd.config.load import Loaded
    from vosd.config.reader.document import Section
    from vosd.config.reader.texts import Texts
    from vosd.config.stored import Stored, Wanted


@dataclass
class LastGoodSwitch(ConfiguredSwitch):
    """The files of the last good catalogue, with the definitions of the database that the switch read with them."""

    manifest: KeptManifest = field(default_factory=KeptManifest)
    _state_dir: Path = Path()
    _loaded: "Loaded | None" = None
    _loading: Lock = field(default_factory=Lock)
    """Held by the thread that loads it: several requests may want it."""

    def with_file(self, file: Path) -> ConfiguredSwitch:
        """Return the objects of another configuration file, which is read from the disk as it is."""
        return ConfiguredSwitch(file, _home=self, _held=self._held)

    @property
    def texts(self) -> "Texts":
        """The files as they were when they were good."""
        return KeptCatalogue(self._state_dir).texts(self.manifest)

    @property
    def excerpt(self) -> "Excerpt":
        """The configuration as far as it was read."""
        if self._excerpt is None:
            super().excerpt.texts = self.texts
        return super().excerpt

    def load(self, *, written_rates_win: bool = False) -> "Loaded":  # noqa: ARG002 - a copy is a question of a verb
        """Return the whole configuration, which is read once.

        Raises:
            ConfigError: files that it names are not as they were.
        """
        from vosd.config.load import load

        with self._loading:
            if self._loaded is None:
                self._loaded = load(
                    self.config_path(), tables=self.tables, definitions=self.definitions, texts=self.texts
                )
            return self._loaded

    def definitions(self, wanted: "Wanted") -> "Stored":
        """Return the definitions of the last good catalogue."""
        return KeptCatalogue(self._state_dir).stored(self.manifest, wanted.decks)

    def _has_objects(self, files: "Section") -> bool:  # noqa: ARG002 - as they were read
        return self.manifest.has_objects


def last_good(config: Path) -> LastGoodSwitch | None:
    """Return the last good configuration of the switch that runs on a file, or was killed on it.

    None = there is none, or the switch ended in order: its next start needs good files, and so does what is beside it.
    """
    state_dir = state_dir_found_from(config, state_dir_by_line(config))
    manifest = KeptCatalogue(state_dir).manifest()
    if not manifest.files or not goes_on(state_dir):
        return None
    return LastGoodSwitch(config, manifest=manifest, _state_dir=state_dir)


def in_force(config: Path) -> ConfiguredSwitch:
    """Return a configuration as its files have it; the last good one where these cannot be read, if there is one.

    The same holds while they have another database than the running switch.
    """
    switch = ConfiguredSwitch(config)
    try:
        _ = switch.settings, switch.database_url
    except ConfigError:
        return last_good(config) or switch
    return switch
