"""Find the socket on which the running switch takes commands, without validating the whole configuration.

A command must reach the switch while the file is being edited, and quickly although its rates are many. So this one
key has to be valid, and not even the syntax of the rest.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.config.places import (
    CONTROL_SOCKET,
    STATE_DIR,
    OtherInstallationError,
    recorded_in,
    socket_found_from,
    state_dir_found_from,
)
from vosd.config.reader.document import Section, parse_document
from vosd.config.reader.includes import FILE_BYTES_MAX, read_files
from vosd.config.reader.lists import LISTS
from vosd.config.reader.places_written import path_in

_PLACES: Final = re.compile(r"(?:state_dir|control_socket):.*$", re.ASCII)


def control_socket_of(
    path: Path, environ: Mapping[str, str] = os.environ, *, remark: Callable[[str], None] | None = None
) -> Path:
    """Return ``control_socket`` of the configuration at ``path``, or its default.

    Where the file is no YAML any more, or is gone, that of the switch that runs on it; ``remark`` is given a sentence
    about that.

    Raises:
        ConfigError: the file cannot be read as YAML, and no switch is found that runs on it.
        OtherInstallationError: the path leads to the switch of another configuration only.
    """
    problems = ProblemList()
    document = read_files(path, environ, problems, LISTS)
    if document.entries or not problems.has_errors:
        return _socket_in(document, path)
    found = _socket_of_running(path, environ)
    if found is None:
        raise ConfigError(problems.in_order())
    if remark is not None:
        remark(f"{path} cannot be read (vosd check says why): the switch that runs on it is asked all the same")
    return found


def state_dir_by_line(path: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``state_dir`` of a file that is no YAML any more, by the line that has it, or its default."""
    document = _places_by_line(path, environ)
    return (None if document is None else path_in(document, "state_dir")) or STATE_DIR


def _places_by_line(path: Path, environ: Mapping[str, str]) -> Section | None:
    """Return the lines of a file that say where a switch has its files; None = they are at fault themselves."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(FILE_BYTES_MAX).splitlines()
    except OSError:  # a file that was moved away for a moment
        lines = []
    text = "\n".join(line for line in lines if _PLACES.match(line))
    return parse_document(text, str(path), environ, ProblemList())


def _socket_in(document: Section, path: Path) -> Path:
    state_dir = path_in(document, "state_dir") or STATE_DIR
    return socket_found_from(path, state_dir, path_in(document, "control_socket") or CONTROL_SOCKET)


def _socket_of_running(path: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the socket of a switch that says itself that it runs on this very file; None = there is none.

    Its place is read from the lines of the file that have it: a bracket that is left open elsewhere does not hide them.
    """
    document = _places_by_line(path, environ)
    if document is None:
        return None
    running = recorded_in(state_dir_found_from(path, path_in(document, "state_dir") or STATE_DIR))
    try:
        found = _socket_in(document, path)
        is_there = running is not None and running.configuration == str(path.resolve()) and found.is_socket()
    except (OtherInstallationError, OSError):
        return None
    return found if is_there else None
