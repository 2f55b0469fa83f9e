"""Find the socket on which the running switch takes commands, without validating the whole configuration.

A command must reach the switch while the file is being edited, and quickly although its rates are many. So only this
one key has to be valid. Where the file is no YAML at all, the switch that runs on it has noted its socket.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.config.places import CONTROL_SOCKET, STATE_DIR, recorded_in, socket_found_from, state_dir_found_from
from vosd.config.reader.document import Section, parse_document
from vosd.config.reader.includes import FILE_BYTES_MAX, read_files
from vosd.config.reader.lists import LISTS
from vosd.config.reader.places_written import path_in

_STATE_DIR: Final = re.compile(r"['\"]?state_dir['\"]?\s*:.*$", re.ASCII)


def control_socket_of(path: Path, *, remark: Callable[[str], None] | None = None) -> Path:
    """Return ``control_socket`` of the configuration at ``path``, or its default.

    Where the file is no YAML any more, or is gone, that of the switch that runs on it; ``remark`` is given a sentence
    about that.

    Raises:
        ConfigError: the file cannot be read as YAML, and no switch is found that runs on it.
        OtherInstallationError: the path leads to the switch of another configuration only.
    """
    problems = ProblemList()
    document = read_files(path, os.environ, problems, LISTS)
    found = _socket_of_running(path) if problems.has_errors else None
    if found is None:
        if problems.has_errors and not document.entries:
            raise ConfigError(problems.in_order())
        return _socket_in(document, path)
    if remark is not None:
        remark(f"{path} cannot be read (vosd check says why): the switch that runs on it is asked all the same")
    return found


def state_dir_by_line(path: Path) -> Path:
    """Return ``state_dir`` of a file that is no YAML any more, by the line that has it, or its default."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(FILE_BYTES_MAX).splitlines()
    except OSError:  # a file that was moved away for a moment
        lines = []
    text = "\n".join(line for line in lines if _STATE_DIR.match(line))
    document = parse_document(text, str(path), os.environ, ProblemList())
    return (None if document is None else path_in(document, "state_dir")) or STATE_DIR


def _socket_in(document: Section, path: Path) -> Path:
    state_dir = path_in(document, "state_dir") or STATE_DIR
    return socket_found_from(path, state_dir, path_in(document, "control_socket") or CONTROL_SOCKET)


def _socket_of_running(path: Path) -> Path | None:
    """Return the socket of a switch that says itself that it runs on this very file; None = there is none.

    The switch has noted both in its state directory. The place of that is read from the line of the file that has it:
    a bracket that is left open elsewhere does not hide it.
    """
    try:
        running = recorded_in(state_dir_found_from(path, state_dir_by_line(path)))
        if running is None or not running.control_socket or running.configuration != str(path.resolve()):
            return None
        place = Path(running.control_socket)
        return place if place.is_socket() else None
    except OSError:
        return None
