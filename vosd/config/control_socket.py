"""Find the socket on which the running switch takes commands, without validating the whole configuration.

A command must reach the switch while the file is being edited, and quickly although its rates are many. So only the
syntax of the file has to be valid, and this one key.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.config.places import CONTROL_SOCKET, STATE_DIR, socket_found_from
from vosd.config.reader.includes import read_files
from vosd.config.reader.lists import LISTS
from vosd.config.reader.places_written import path_in


def control_socket_of(path: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``control_socket`` of the configuration at ``path``, or its default.

    Raises:
        ConfigError: the file cannot be read as YAML.
        OtherInstallationError: the path leads to the switch of another configuration only.
    """
    problems = ProblemList()
    document = read_files(path, environ, problems, LISTS)
    if not document.entries and problems.has_errors:
        raise ConfigError(problems.in_order())
    state_dir = path_in(document, "state_dir") or STATE_DIR
    return socket_found_from(path, state_dir, path_in(document, "control_socket") or CONTROL_SOCKET)
