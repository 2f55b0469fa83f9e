"""The configuration of a front that keeps running: read again only when a file or the database has changed."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from vosd.config.named_files import files_of
from vosd.config.places import LOCK
from vosd.config.reader.texts import DiskTexts, absolute
from vosd.wiring.configured_switch import ConfiguredSwitch
from vosd.wiring.last_good import LastGoodSwitch, last_good

if TYPE_CHECKING:
    from vosd.config.excerpt import Excerpt
    from vosd.config.load import Loaded
    from vosd.config.stored import Stored, Wanted

_State = tuple[int, int, int, int] | None
"""Inode, size, and times of the last change of content and of rights of a file; None = it cannot be found."""


_UNSETTLED: Final = (0, 0, 0, 0)
_TICK_NS: Final = 100_000_000
_AGAIN_MS: Final = 1_000
"""Time until a file is read again that could not be read: the reason may be the process, which has no descriptor."""
_AGAIN_MAX_MS: Final = 60_000
"""Longest such time: it doubles while the file cannot be read, because each time the whole configuration is read."""


def _state_of(name: str) -> _State:
    try:
        found = os.stat(name)  # noqa: PTH116 - called for every file at each request
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _WatchedTexts(DiskTexts):
    """Files with their state from before they were read, and the patterns that were asked for."""

    def __init__(self, again_ms: int = _AGAIN_MS) -> None:
        """``again_ms`` is the time until a file that could not be read is read again."""
        super().__init__()
        self._again_ms = again_ms
        self._states: dict[str, _State] = {}
        self._failed_at: int | None = None
        """Time at which a file that is there could not be read, UTC milliseconds."""

    def read(self, path: Path, bytes_max: int, *, only_regular: bool = False) -> bytes:
        """Return the content of a file, as it was when it was read first."""
        known = self.contents.get(absolute(path))
        if known is not None:
            return known
        self.watch(path)
        try:
            return super().read(path, bytes_max, only_regular=only_regular)
        except FileNotFoundError:
            raise  # its state changes when it is there
        except OSError:
            self._failed_at = time.time_ns() // 1_000_000
            raise

    def matching(self, pattern: str) -> list[str]:
        """Return the files that fitted a pattern when it was asked for first."""
        known = self.matched.get(pattern)
        return super().matching(pattern) if known is None else known

    def watch(self, path: Path) -> None:
        """Note the state of a file, unless it is known: a change since then is one."""
        name = absolute(path)
        if name not in self._states:
            state = _state_of(name)
            # A file can change again within the same tick of its clock, and have the same size.
            is_settled = state is None or time.time_ns() - state[2] > _TICK_NS
            self._states[name] = state if is_settled else _UNSETTLED

    def is_as_read(self, now_ms: int) -> bool:
        """Return whether all files are as they were, and the same files fit the patterns.

        One that could not be read may be readable after a while, although nothing about it has changed.
        """
        if self._failed_at is not None and not 0 <= now_ms - self._failed_at < self._again_ms:
            return False
        # A thread may read further files for another request meanwhile.
        if any(_state_of(name) != state for name, state in tuple(self._states.items())):
            return False
        found = DiskTexts()
        return all(found.matching(pattern) == files for pattern, files in tuple(self.matched.items()))

    def next_again_ms(self, now_ms: int) -> int:
        """Return the time until those that are read now are read again if they cannot be read."""
        is_due = self._failed_at is not None and now_ms - self._failed_at >= self._again_ms
        return min(2 * self._again_ms, _AGAIN_MAX_MS) if is_due else _AGAIN_MS


@dataclass
class _KeptSwitch(ConfiguredSwitch):
    """A configuration as it was read at one time."""

    version: int | None = None
    """Version of the definitions of the database; None = not known."""
    _texts: _WatchedTexts = field(default_factory=_WatchedTexts)
    _loaded: "Loaded | None" = None
    _loading: Lock = field(default_factory=Lock)
    """Held by the thread that loads it: several requests may want it."""
    _reads_again_at: int | None = None
    """Beginning of the next planned version of an object, UTC milliseconds."""

    def with_file(self, file: Path) -> ConfiguredSwitch:
        """Return the objects of another configuration file, of which nothing is kept."""
        return ConfiguredSwitch(file, _home=self, _held=self._held)

    @property
    def texts(self) -> _WatchedTexts:
        """The files as they were when they were read first."""
        return self._texts

    @property
    def excerpt(self) -> "Excerpt":
        """The configuration as far as it was read, with the state of its files."""
        if self._excerpt is None:
            self._texts.watch(self.config_path())
            super().excerpt.texts = self._texts
        return super().excerpt

    @property
    def database_url(self) -> str:
        """The URL of the database; it is asked for again after the next start of the switch, which may have another."""
        if (state_dir := self._state_dir_if_any()) is not None:
            self._texts.watch(state_dir / LOCK)
        return super().database_url

    def load(self, *, written_rates_win: bool = False) -> "Loaded":  # noqa: ARG002 - a copy is a question of a verb
        """Return the whole configuration, which is read once; its problems are remarks of the first time."""
        with self._loading:
            if self._loaded is None:
                for file in files_of(self.config_path(), texts=self._texts):
                    self._texts.watch(file)
                self._loaded = super().load()
            return self._loaded

    def definitions(self, wanted: "Wanted") -> "Stored":
        """Return the definitions of the database, and note until when they are in force."""
        stored = super().definitions(wanted)
        if stored.unread is not None:
            self._reads_again_at = 0
        elif stored.next_at is not None:
            self._reads_again_at = min(stored.next_at, self._reads_again_at or stored.next_at)
        return stored

    def next_texts(self, now_ms: int) -> _WatchedTexts:
        """Return files that are not read yet, for the configuration that replaces this one."""
        return _WatchedTexts(self._texts.next_again_ms(now_ms))

    def is_current(self, version: int | None, now_ms: int) -> bool:
        """Return whether nothing has changed; a version that is not known has not."""
        if self._reads_again_at is not None and self._reads_again_at <= now_ms:
            return False
        return (version is None or version == self.version) and self._texts.is_as_read(now_ms)


class KeptConfiguration:
    """Hands out a configuration, the same one while nothing changes, and while the files cannot be read."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._latest: _KeptSwitch | None = None
        """The files as they are now."""
        self._is_refused = False
        """Whether the latest cannot be read."""
        self._read: ConfiguredSwitch | None = None
        """The last one that could be read, or the last good one."""
        self._before: list[_KeptSwitch] = []
        """The configurations that were replaced last: requests may still use them."""

    def current(self, version: int | None) -> ConfiguredSwitch:
        """Return the configuration as it is now; the one from before, where its files cannot be read.

        ``version`` is that of the definitions of the database; None = it cannot be read, and the known one holds.
        """
        latest, now_ms = self._latest, time.time_ns() // 1_000_000
        if latest is None or not latest.is_current(version, now_ms):
            texts = _WatchedTexts() if latest is None else latest.next_texts(now_ms)
            if latest is not None:
                self._before.append(latest)
            for over in [each for each in self._before[:-1] if each is not self._read]:
                over.close()
                self._before.remove(over)
            latest, self._is_refused = _KeptSwitch(self._config, version=version, _texts=texts), False
            self._latest = latest
        return self._read if self._is_refused and self._read is not None else latest

    def accept(self, switch: ConfiguredSwitch) -> None:
        """Note that a configuration could be read."""
        self._read = switch

    def refuse(self, switch: ConfiguredSwitch) -> ConfiguredSwitch | None:
        """Hand out the one that was accepted last while the files are those of ``switch``, which cannot be read.

        Where this process has accepted none, it is the last good one of the switch. Return it; None = there is none.
        """
        self._is_refused = self._is_refused or switch is self._latest
        if self._read is None or isinstance(self._read, LastGoodSwitch):
            found = last_good(self._config)
            if found is not None and (self._read is None or found.manifest != self._read.manifest):
                self._read = found
        return self._read

    def close(self) -> None:
        """Leave what is held."""
        for each in (*self._before, *filter(None, (self._latest,))):
            each.close()
        self._before, self._latest, self._read = [], None, None
