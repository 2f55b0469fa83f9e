"""Objects of the configuration files as they are written; of gateways and phones only their lists are read."""

import os
from collections.abc import Mapping
from pathlib import Path

from vosd.admin.office.ports import WrittenGateway, WrittenObject
from vosd.catalogue.problems import ProblemList, is_secret
from vosd.catalogue.stored_objects import KINDS
from vosd.config.reader.document import Node, Scalar, Section, YamlList
from vosd.config.reader.includes import read_files
from vosd.config.reader.lists import LISTS
from vosd.config.reader.reading import items_of
from vosd.config.reader.templates import fill_from_template, take_templates
from vosd.config.reader.texts import Texts
from vosd.config.stored_text import plain_keys

_NAME_KEYS: Mapping[str, str] = {"mapping_gateways": "name", "routing_gateways": "name", "phones": "number"}


def written_object(kind: str, section: Section) -> WrittenObject:
    """Return an object with its keys as the database would have them: without its name, variables unread."""
    keys = plain_keys(section)
    keys.pop(KINDS[kind] or "", None)
    return WrittenObject(str(section.place), keys)


def written_gateways(path: Path, name: str, texts: Texts | None = None) -> list[WrittenGateway]:
    """Return what the configuration at ``path`` calls ``name``; mistakes elsewhere do not matter.

    ``texts`` is where its files are; None = on the disk.
    """
    problems = ProblemList()
    document = read_files(path, os.environ, problems, LISTS - _NAME_KEYS.keys(), texts)
    templates = take_templates(document, problems)
    return [
        WrittenGateway(
            list_name, str(section.place), _keys(fill_from_template(section, templates, list_name, problems))
        )
        for list_name, name_key in _NAME_KEYS.items()
        for section in items_of(document, list_name, problems)
        if section.text_of(name_key) == name
    ]


def _keys(section: Section, above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, entry in section.entries.items():
        if isinstance(entry.node, Section):
            found |= _keys(entry.node, f"{above}{key}.")
        elif not is_secret(key):
            found[f"{above}{key}"] = _shown(entry.node)
    return found


def _shown(node: Node) -> str:
    match node:
        case Scalar():
            return node.written
        case YamlList():
            return ", ".join(map(_shown, node.items))
        case Section():
            return "{" + ", ".join(f"{key}: {_shown(each.node)}" for key, each in node.entries.items()) + "}"
