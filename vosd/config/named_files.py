"""The files that a configuration consists of: those of YAML, and those that they name.

Nothing is validated: a configuration with a mistake can be backed up as well. It does not know what the files contain.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.sounds import files_of_sound
from vosd.config.reader.document import Node, Scalar, Section, YamlList
from vosd.config.reader.includes import read_files
from vosd.config.reader.texts import DiskTexts, Texts, absolute

FILE_KEYS: Final = frozenset(
    {
        "ca", "certificate", "crl", "database", "file", "key", "labels_file", "logo_file", "password_file",
        "private_key", "rates_file", "roots", "routes_file", "secret_file", "template_file",
    }
)  # fmt: skip
"""Keys whose value is a file to read, or a list of them, relative to the file that names it."""

TEXTS: Final = frozenset({("hep", "key")})
"""Sections and their keys of the same names whose value is no file: that of ``hep`` is a secret."""

_SOUNDS: Final = "sounds"
"""Section of files by name; beside one there may be others of the same sound."""


def files_of(path: Path, environ: Mapping[str, str] = os.environ, texts: Texts | None = None) -> list[Path]:
    """Return the absolute paths of all files of the configuration at ``path``, that one first."""
    texts = texts or DiskTexts()
    document = read_files(path, environ, ProblemList(), texts=texts)
    main = absolute(path)
    others = {*texts.contents, *map(absolute, _named_in(document))} - {main}
    return [Path(main), *map(Path, sorted(others))]


def _named_in(node: Node, section: str = "") -> Iterator[Path]:
    """Return the files that a node names; ``section`` is the key that it has, empty at the top and in a list."""
    match node:
        case Section():
            for key, entry in node.entries.items():
                if (section, key) in TEXTS:
                    continue
                if key == _SOUNDS and isinstance(entry.node, Section):
                    yield from _sounds_in(entry.node)
                elif key in FILE_KEYS and isinstance(entry.node, Scalar):
                    yield from _file_in(entry.node)
                elif key in FILE_KEYS and isinstance(entry.node, YamlList):
                    for item in entry.node.items:
                        yield from _file_in(item) if isinstance(item, Scalar) else _named_in(item)
                else:
                    yield from _named_in(entry.node, key)
        case YamlList():
            for item in node.items:
                yield from _named_in(item)
        case Scalar():
            return


def _file_in(value: Scalar) -> Iterator[Path]:
    if value.text:
        yield Path(value.place.file).parent / value.text


def _sounds_in(section: Section) -> Iterator[Path]:
    for entry in section.entries.values():
        if isinstance(entry.node, Scalar) and entry.node.text:
            yield from files_of_sound(Path(entry.node.place.file).parent / entry.node.text)
