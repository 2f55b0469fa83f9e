"""Find the files that a switch wrote to its working directory: socket, database and state.

Relative paths of the configuration are relative to the directory in which the switch was started, and commands are
given from any directory. So a command tries its own directory first, then those above the configuration file, and
takes the first that contains the installation. A switch records in its state directory which configuration it runs
on, so that two configurations with the same relative paths can be distinguished.
"""

import json
import stat
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from vosd.base.errors import VosError
from vosd.base.secret import Secret

if TYPE_CHECKING:
    from vosd.engine.settings import RetentionSettings, Settings

CONTROL_SOCKET: Final = Path("var/vosd.sock")
"""Socket of the switch for commands, unless the file says otherwise."""
STATE_DIR: Final = Path("var")
"""Directory of the journal, unless the file names another."""

DATABASE_URL: Final = "sqlite+aiosqlite:///var/vosd.db"
"""The database, unless the file names another."""

REPORT_SECONDS: Final = 60
"""Longest time of one statement of a report, unless the file says otherwise."""

LOCK: Final = "lock"
"""File in the state directory: pid and state of the switch, and in the second line its ``Installation``."""
_SERVICE: Final = Path("/var/lib/vosd")
"""Working directory of the service of the package."""
_LOCKS: Final = Path("/proc/locks")
_ID_DIGITS: Final = 8

_SQLITE: Final = "sqlite+aiosqlite:///"
_MYSQL_PORT: Final = 3306
_JOURNAL: Final = "journal"
"""Name that every switch has in its state directory. ``var`` itself, and ``var/lock``, exist in every root
directory."""


class OtherInstallationError(VosError):
    """The file or socket that the configuration leads to belongs to the switch of another configuration."""

    def __init__(self, config: Path, other: "Installation") -> None:
        self.other = other
        super().__init__(
            f"the state_dir, socket or database there is of the switch {other}, not of one of {config}; say "
            f"-c {other.configuration} for it, or, so that each configuration has its own, give state_dir, "
            "control_socket and database.url absolute paths"
        )


class Installation(NamedTuple):
    """A switch: its configuration, and the directory in which it was started. It is recorded in its state directory."""

    node: str
    configuration: str
    """Absolute path of the main file."""
    directory: str
    """To which relative paths of the configuration are relative."""
    control_socket: str = ""
    """Absolute path of its socket for commands; empty = an earlier version has recorded it."""
    database: str = ""
    """Place of the database on which it works, as ``place_of_database``; empty as for the socket."""

    @property
    def id(self) -> str:
        """Distinguishes switches whose nodes have the same name."""
        # the directory that a link leads to, or the working one, may have a name that is not UTF-8
        places = f"{self.configuration}\0{self.directory}".encode("utf-8", "surrogateescape")
        return sha256(places).hexdigest()[:_ID_DIGITS]

    def is_of(self, config: Path) -> bool:
        """Return whether the switch runs on a configuration; one whose file is gone may run on any."""
        recorded = Path(self.configuration)
        try:
            return not recorded.exists() or recorded.samefile(config)
        except OSError:
            return True

    def __str__(self) -> str:
        return f"{self.node!r} (id {self.id}) of {self.configuration}, started in {self.directory}"


def installation_of(
    config: Path, node: str, control_socket: Path | None = None, database_url: Secret | None = None
) -> Installation:
    """Return the installation that this process is, started on ``config``."""
    place = "" if control_socket is None else str(control_socket.absolute())
    database = "" if database_url is None else place_of_database(database_url.reveal())
    return Installation(node, str(config.resolve()), str(Path.cwd()), place, database)


def place_of_database(url: str) -> str:
    """Return the absolute path of a database, or server and name, without user and password.

    The server is its socket file where the URL has one, which the driver takes instead of host and port.
    """
    file = database_file(url)
    if file is not None:
        return str(file.resolve())
    server = urlsplit(url)
    file_of_server = dict(parse_qsl(server.query)).get("unix_socket")
    return f"{file_of_server or f'{server.hostname}:{server.port or _MYSQL_PORT}'}{server.path}"


def is_one_login_apart(url: str, other: str) -> bool:
    """Return whether two URLs of databases differ in user and password at most."""
    return _without_login(url) == _without_login(other)


def _without_login(url: str) -> SplitResult:
    server = urlsplit(url)
    return server._replace(netloc=server.netloc.rpartition("@")[2])


def recorded_in(state_dir: Path) -> Installation | None:
    """Return the switch that used a state directory last; None where none is recorded or the file may not be read."""
    try:
        lines = (state_dir / LOCK).read_text(encoding="utf-8").splitlines()
        return Installation(**json.loads(lines[1])) if len(lines) > 1 else None
    except (OSError, ValueError, TypeError):
        return None


def holder_of(state_dir: Path) -> int | None:
    """Return the pid of the process that has a state directory locked; None = there is none, or it cannot be seen.

    The lock is not tried: a switch that starts in that moment would be refused.
    """
    lock = state_dir / LOCK
    try:
        pid = lock.read_text(encoding="utf-8").partition("\n")[0].partition(" ")[0]
        inode = str(lock.stat().st_ino)
        locks = [line.split() for line in _LOCKS.read_text(encoding="ascii").splitlines()]
    except (OSError, ValueError):
        return None
    is_held = any("FLOCK" in words and pid in words and words[-3].endswith(f":{inode}") for words in locks)
    return int(pid) if is_held and pid.isdecimal() else None


def found_from(config: Path, settings: "Settings") -> "Settings":
    """Return settings whose relative paths lead to the installation of ``config`` from the working directory.

    Raises:
        OtherInstallationError: they lead to that of another configuration only.
    """
    file = database_file(settings.database_url.reveal())
    written = [settings.control_socket, settings.state_dir / _JOURNAL, *(() if file is None else (file,))]
    base = _base(config, settings.state_dir, written)
    state_dir = settings.state_dir if base is None else base / settings.state_dir
    started = recorded_in(state_dir)
    directory = base if started is None or not started.is_of(config) else Path(started.directory)
    if directory is not None:
        settings = replace(settings, retention=_retention_in(directory, settings.retention))
    if base is None:
        return settings
    url = Secret(_url_from(base, settings.database_url.reveal()))
    return replace(settings, control_socket=base / settings.control_socket, state_dir=state_dir, database_url=url)


def _retention_in(directory: Path, retention: "RetentionSettings") -> "RetentionSettings":
    """Return settings whose archives and exports are those of a switch that was started in a directory."""
    archive = retention.payments_archive
    return replace(
        retention,
        payments_archive=None if archive is None else directory / archive,
        exports=tuple(directory / each for each in retention.exports),
    )


def state_dir_found_from(config: Path, state_dir: Path) -> Path:
    """Return the state directory of the switch that runs on ``config``, or where a new one would have it."""
    try:
        base = _base(config, state_dir, [state_dir / _JOURNAL])
    except OtherInstallationError:
        base = None
    return state_dir if base is None else base / state_dir


def database_found_from(config: Path, state_dir: Path, url: str) -> str:
    """Return the URL of the database of the switch that runs on ``config``; ``state_dir`` as it is written.

    Raises:
        OtherInstallationError: as for ``found_from``.
    """
    file = database_file(url)
    base = _base(config, state_dir, [state_dir / _JOURNAL, *(() if file is None else (file,))])
    return url if base is None else _url_from(base, url)


def socket_found_from(config: Path, state_dir: Path, control_socket: Path) -> Path:
    """Return the control socket of the switch that runs on ``config``; ``state_dir`` as it is written.

    Raises:
        OtherInstallationError: as for ``found_from``.
    """
    base = _base(config, state_dir, [control_socket])
    return control_socket if base is None else base / control_socket


def _base(config: Path, state_dir: Path, written: Iterable[Path]) -> Path | None:
    """Return the directory that contains any of the files; None = the working directory, or none.

    Directories in which the switch of another configuration runs or ran are left out.
    """
    relative = [path for path in written if not path.is_absolute()]
    if not relative:
        return None
    own = recorded_in(state_dir) if state_dir.is_absolute() else None
    here, other = Path.cwd(), None
    places = (here, *config.absolute().parents, _SERVICE)
    if own is not None and own.is_of(config):
        places = (Path(own.directory), *places)
    for directory in places:
        if any(_is_written(directory / path) for path in relative):
            found = None if state_dir.is_absolute() else recorded_in(directory / state_dir)
            if found is None or found.is_of(config):
                return None if directory == here else directory
            other = other or found
    if other is not None:
        raise OtherInstallationError(config, other)
    return None


def _is_written(path: Path) -> bool:
    """Return whether a switch wrote a file; an empty database file was made by a reader that did not find one."""
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) or found.st_size > 0


def is_database_there(url: str) -> bool:
    """Return whether a database may be read; false for a file that no switch has written yet."""
    file = database_file(url)
    return file is None or _is_written(file)


def may_be_one_database(url: str, other: str, other_directory: Path) -> bool:
    """Return whether two URLs may name one database; files of ``other`` are relative to ``other_directory``.

    Of databases in servers the names decide alone: one server has several names.
    """
    file, other_file = database_file(url), database_file(other)
    if file is not None and other_file is not None:
        return file.resolve() == (other_directory / other_file).resolve()
    return file is other_file and _name_in_server(url) == _name_in_server(other)


def _name_in_server(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _url_from(base: Path, url: str) -> str:
    """Return a URL with the file that it names, if any, relative to ``base``."""
    file = database_file(url)
    if file is None or file.is_absolute():
        return url
    return url.replace(f"{_SQLITE}{file}", f"{_SQLITE}{base / file}", 1)


def database_file(url: str) -> Path | None:
    """Return the file of an SQLite database; None = it is in a server."""
    return Path(url.removeprefix(_SQLITE).partition("?")[0]) if url.startswith(_SQLITE) else None
