"""Where a command finds what a switch wrote to its working directory: socket, database and state.

Relative paths of the configuration are relative to the directory in which the switch was started, and commands are
given from any directory. So a command tries its own directory first, then those above the configuration file, and
takes the first that contains the installation.
"""

import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vosd.base.secret import Secret

if TYPE_CHECKING:
    from vosd.engine.settings import Settings

CONTROL_SOCKET: Final = Path("var/vosd.sock")
"""Where the switch listens for commands, unless the file says otherwise."""

_SQLITE: Final = "sqlite+aiosqlite:///"
_JOURNAL: Final = "journal"
"""What every switch has in its state directory. ``var`` itself, and ``var/lock``, exist in every root directory."""


def found_from(config: Path, settings: "Settings") -> "Settings":
    """Return settings whose relative paths lead to the installation of ``config`` from the working directory."""
    file = _database_file(settings.database_url.reveal())
    base = _base(config, [settings.control_socket, settings.state_dir / _JOURNAL, *(() if file is None else (file,))])
    if base is None:
        return settings
    url = Secret(_url_from(base, settings.database_url.reveal()))
    return replace(
        settings,
        control_socket=base / settings.control_socket,
        state_dir=base / settings.state_dir,
        database_url=url,
    )


def state_dir_found_from(config: Path, state_dir: Path) -> Path:
    """Return the state directory of the switch that runs on ``config``."""
    base = _base(config, [state_dir / _JOURNAL])
    return state_dir if base is None else base / state_dir


def database_found_from(config: Path, state_dir: Path, url: str) -> str:
    """Return the URL of the database of the switch that runs on ``config``; ``state_dir`` as it is written."""
    file = _database_file(url)
    base = _base(config, [state_dir / _JOURNAL, *(() if file is None else (file,))])
    return url if base is None else _url_from(base, url)


def socket_found_from(config: Path, control_socket: Path) -> Path:
    """Return the control socket of the switch that runs on ``config``."""
    base = _base(config, [control_socket])
    return control_socket if base is None else base / control_socket


def _base(config: Path, written: Iterable[Path]) -> Path | None:
    """Return the directory that contains any of the files; None = the working directory, or none."""
    relative = [path for path in written if not path.is_absolute()]
    here = Path.cwd()
    for directory in (here, *config.absolute().parents):
        if any(_is_written(directory / path) for path in relative):
            return None if directory == here else directory
    return None


def _is_written(path: Path) -> bool:
    """Return whether a switch wrote a file; an empty database file was made by a reader that did not find one."""
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) or found.st_size > 0


def _url_from(base: Path, url: str) -> str:
    """Return a URL with the file that it names, if any, relative to ``base``."""
    file = _database_file(url)
    if file is None or file.is_absolute():
        return url
    return url.replace(f"{_SQLITE}{file}", f"{_SQLITE}{base / file}", 1)


def _database_file(url: str) -> Path | None:
    return Path(url.removeprefix(_SQLITE).partition("?")[0]) if url.startswith(_SQLITE) else None
