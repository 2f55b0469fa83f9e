"""Declaration of an operation as a job: what it does in a process of its own, and when it is one."""

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from vosd.admin.office.jobs import JobKind
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.api.http import RequestError
from vosd.catalogue.problems import ConfigError
from vosd.wiring.configured_switch import ConfiguredSwitch

DIRECTORY: Final = "jobs"
"""Directory of ``state_dir`` with the files of orders and results."""
_DISK_LEFT: Final = 256 << 20
"""Bytes of its disk that these files leave free."""


class Work(NamedTuple):
    """Surroundings of a job in its process."""

    switch: ConfiguredSwitch
    upload: Path | None
    """File that came with the order."""
    out: Path
    """File of the result, where the job writes one."""
    progress: Callable[[float], None]
    """Takes the part that is done, 0 to 1."""


def check_disk(directory: Path) -> None:
    """Raise RequestError where a further part of a file would take room on the disk of the journal that calls need."""
    if shutil.disk_usage(directory).free < _DISK_LEFT:
        said = f"the disk of state_dir has less than {_DISK_LEFT >> 20} MiB free, which calls need"
        raise RequestError(HTTPStatus.INSUFFICIENT_STORAGE, "disk_full", said, remedy="free some of it")


@contextmanager
def map_file_of(text: str) -> Iterator[Path]:
    """Yield a file with the parameter ``map`` of an order; its mistakes name the parameter in the place of the file."""
    with tempfile.TemporaryDirectory(prefix="vosd-map-") as directory:
        file = Path(directory) / "map.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            yield file
        except ConfigError as error:
            named = (each._replace(file="map") if each.file == str(file) else each for each in error.problems)
            raise ConfigError(named) from error


class Long(NamedTuple):
    """An operation as a job."""

    kind: JobKind
    run: Callable[[Office, Principal, Any, Work], Awaitable[Any]]
    """Carries the order out, and returns the result; None = the result is the file alone."""
    is_always: bool = False
    """Else a request asks for it by ``Prefer: respond-async``, or its body is long."""
    subject: str | None = None
    """Field of the path that names what it is about."""
    check: Callable[[Office, Principal, Any], object] | None = None
    """Refuses at once what could only fail later; a long body is not sent in vain."""
    uploads: Mapping[str, str] = {}
    """Content types of a body that is kept as a file and read by the job, with the suffix of the file."""
    upload_max: int = 0
    """Longest such body, in bytes."""


class KeptOrder(msgspec.Struct, frozen=True):
    """Parts of a request that make an order, as the job keeps them."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    header: Mapping[str, Any] = {}


class JobOpening(msgspec.Struct, frozen=True):
    """First message to the process of a job."""

    config: str
    id: int
    attempt: int
    kind: JobKind
    who: str
    order: str
    upload: str | None
    out: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Message of the process: how far it is, in thousandths."""

    done: int


class JobOutcome(msgspec.Struct, frozen=True, tag="outcome"):
    """Last message of the process."""

    result: str | None = None
    """JSON."""
    problem: str | None = None
    """JSON: why it has failed."""
    may_be_made: bool = False
    """Whether the database went away, so that the whole change may be committed all the same."""
