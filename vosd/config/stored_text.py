"""Objects of the database as a part of the document that the files are, and as YAML for people (ADR 105, 112).

It does not know what the keys mean.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec
import yaml

from vosd.base.edited import edited
from vosd.base.parts import in_parts
from vosd.base.text import REORDERING
from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine
from vosd.catalogue.stored_objects import KINDS, BadObjectError, ObjectVersion, check_kind
from vosd.config.reader.document import Entry, Node, Scalar, Section, YamlList, parse_document, with_variables
from vosd.config.stored import Stored

_WIDTH: Final = 120
_SUFFIX: Final = " in the database"
_REORDERING: Final = re.compile(f"[{REORDERING}]")
_SAFE: Final = re.compile(r"[A-Za-z0-9_.~-]*\Z")
"""Names that are the same when they are quoted, as nearly all are."""


class Object(NamedTuple):
    """One object as it is written somewhere."""

    kind: str
    name: str
    keys: Any
    """Keys and values without the name: texts, lists and mappings. A parameter has its value here."""


keys_of: Final[Callable[[str], Any]] = msgspec.json.Decoder().decode
"""Returns the keys of a body."""


def place_of(each: ObjectVersion, directory: str) -> SourceLine:
    """Return where an object is until ``naming_objects``: paths within it are relative to the configuration.

    ``directory`` is that of the main file.
    """
    name = each.name
    if not name.isascii() or not (name.isalnum() or _SAFE.match(name)):
        name = quote(name, safe="")
    return SourceLine(f"{directory}/{each.kind} {name} (version {each.version}){_SUFFIX}", 0)


def version_at(place: SourceLine) -> int | None:
    """Return the version of the object of the database that a place is in; None = the place is in a file."""
    found = re.search(rf"\(version (\d+)\){_SUFFIX}\Z", place.file)
    return None if found is None else int(found[1])


def section_of(each: ObjectVersion, directory: str, environ: Mapping[str, str], problems: ProblemList) -> Section:
    """Return an object of a list as it would be read from a file; ``directory`` is that of the main file."""
    assert each.body is not None
    place, keys = place_of(each, directory), keys_of(each.body)
    assert isinstance(keys, dict)
    name_key, section = KINDS[each.kind], Section(place)
    if name_key is not None:
        # Agents choose names, too: variables in one would show them the environment of the switch.
        section.entries[name_key] = Entry(place, Scalar(place, each.name, each.name, False))
    _fill(section, keys, environ, problems)
    return section


def document_of(
    objects: Iterable[ObjectVersion], config: Path, environ: Mapping[str, str], problems: ProblemList
) -> Section:
    """Return objects as a document, those of each kind in the order of their names."""
    document, directory = Section(SourceLine(str(config), 0)), str(config.parent)
    for each in sorted(objects, key=attrgetter("kind", "name")):
        is_keyed = KINDS[each.kind] is None
        if is_keyed and each.body is None:
            continue
        if each.kind not in document.entries:
            place = _place_of_kind(each.kind, config)
            document.entries[each.kind] = Entry(place, Section(place) if is_keyed else YamlList(place, []))
        whole = document.entries[each.kind].node
        if isinstance(whole, YamlList):
            whole.items.append(section_of(each, directory, environ, problems))
        elif isinstance(whole, Section) and each.body is not None:
            own = place_of(each, directory)
            node = _node(keys_of(each.body), each.name, own, environ, problems)
            whole.entries[each.name] = Entry(own, node)
    return document


def empty_lists(kinds: Iterable[str], config: Path) -> Section:
    """Return a document with lists of objects of the database whose items are read apart: ``sections_of``."""
    places = {kind: _place_of_kind(kind, config) for kind in kinds}
    entries = {kind: Entry(place, YamlList(place, [])) for kind, place in places.items()}
    return Section(SourceLine(str(config), 0), entries)


def sections_of(
    objects: Iterable[ObjectVersion], config: Path, environ: Mapping[str, str], problems: ProblemList
) -> Iterator[Section]:
    """Yield objects of a list by name; some are made at a time, for the processor's caches."""
    directory = str(config.parent)
    parts = in_parts(sorted(objects, key=attrgetter("name")))
    return chain.from_iterable([section_of(each, directory, environ, problems) for each in part] for part in parts)


def _place_of_kind(kind: str, config: Path) -> SourceLine:
    return SourceLine(str(config.parent / f"{kind}{_SUFFIX}"), 0)


def _fill(section: Section, keys: dict[str, Any], environ: Mapping[str, str], problems: ProblemList) -> None:
    """Add keys with their values as they are read from a file."""
    place, entries = section.place, section.entries
    for name, each in keys.items():
        # Nearly all values are such texts, so they are made here.
        is_plain = type(each) is str and "${" not in each
        node = Scalar(place, each, each, False) if is_plain else _node(each, name, place, environ, problems)
        entries[name] = Entry(place, node)


def _node(value: Any, key: str, place: SourceLine, environ: Mapping[str, str], problems: ProblemList) -> Node:
    """Return a value as it is read from a file."""
    if isinstance(value, dict):
        section = Section(place)
        _fill(section, value, environ, problems)
        return section
    if isinstance(value, list):
        return YamlList(place, [_node(each, key, place, environ, problems) for each in value])
    written = value if type(value) is str else str(value)
    text = with_variables(written, key, place, environ, problems) if "${" in written else written
    return Scalar(place, written, text, False)


def naming_objects(found: Iterable[DefinitionProblem], config: Path) -> tuple[DefinitionProblem, ...]:
    """Return problems that name objects of the database as operators know them."""
    return tuple(named_one_by_one(found, config))


def named_one_by_one(found: Iterable[DefinitionProblem], config: Path) -> Iterator[DefinitionProblem]:
    """Yield what ``naming_objects`` returns, for problems of which there may be a million."""
    named = _naming(config)
    return (each._replace(file=named(each.file), expected=named(each.expected)) for each in found)


def named_place(place: SourceLine, config: Path) -> SourceLine:
    """Return a place that names an object of the database as operators know it."""
    return SourceLine(_naming(config)(place.file), place.line)


def _naming(config: Path) -> Callable[[str], str]:
    names = "|".join(KINDS)
    anywhere = re.compile(rf"{re.escape(f'{config.parent}/')}({names})( \S+ \(version \d+\))?{_SUFFIX}")
    return partial(anywhere.sub, lambda match: f"{match[1]}{unquote(match[2] or '')}{_SUFFIX}")


def with_changes(
    objects: Mapping[str, Mapping[str, ObjectVersion]], changes: Iterable[ObjectVersion]
) -> dict[str, Mapping[str, ObjectVersion]]:
    """Return objects by kind and name after changes; those that have ended are left out."""
    made, by_kind = dict(objects), dict[str, dict[str, ObjectVersion]]()
    for each in changes:
        by_kind.setdefault(each.kind, {})[each.name] = each
    for kind in sorted(by_kind):
        by_name = by_kind[kind]
        ended = {name for name, each in by_name.items() if each.body is None}
        there = {name: each for name, each in by_name.items() if each.body is not None} if ended else by_name
        made[kind] = edited(made.get(kind, {}), ended, there)
    return made


def without_equals(stored: Stored, files: Section) -> Stored:
    """Return what the database defines without the objects that the files define with the same keys."""
    written = {(each.kind, each.name): each.keys for each in _objects_of(files)}
    objects = {
        kind: {
            name: each
            for name, each in by_name.items()
            if each.body is None or written.get((kind, name)) != _as_written(keys_of(each.body))
        }
        for kind, by_name in stored.objects.items()
    }
    return stored._replace(objects=objects, changes=None)


def _objects_of(files: Section) -> Iterator[Object]:
    """Yield the objects of a document that have a name; what is not written as objects are is left out."""
    for kind, name_key in KINDS.items():
        entry = files.entries.get(kind)
        if entry is None:
            continue
        if name_key is None and isinstance(entry.node, Section):
            for name, keyed in entry.node.entries.items():
                yield Object(kind, name, _plain(keyed.node))
        elif name_key is not None and isinstance(entry.node, YamlList):
            for node in entry.node.items:
                keys = plain_keys(node) if isinstance(node, Section) else {}
                if isinstance(name := keys.pop(name_key, None), str):
                    yield Object(kind, name, keys)


def _as_written(value: Any) -> Any:
    """Return a value of a body as a file would have it."""
    if isinstance(value, dict):
        return {name: _as_written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_written(each) for each in value]
    return str(value)


def every_object(stored: Stored) -> Iterator[ObjectVersion]:
    """Yield all objects that the database defines."""
    return (each for by_name in stored.objects.values() for each in by_name.values())


def yaml_of(keys: Any) -> str:
    """Return the keys of one object as a person would write them."""
    if isinstance(keys, str):
        return f"{keys}\n"
    if not keys:
        return ""
    text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=_WIDTH)
    if _REORDERING.search(text) is None:
        return text
    return yaml.safe_dump(keys, sort_keys=False, width=_WIDTH)


def yaml_of_objects(objects: Iterable[ObjectVersion]) -> str:
    """Return objects as a file of the configuration; those that have ended are left out."""
    sections: dict[str, Any] = {}
    for each in objects:
        if each.body is None:
            continue
        keys, name_key = keys_of(each.body), KINDS[each.kind]
        if name_key is None:
            sections.setdefault(each.kind, {})[each.name] = keys
        else:
            sections.setdefault(each.kind, []).append({name_key: each.name, **keys})
    return yaml_of(sections)


def read_object(kind: str, name: str, text: str, file: str, environ: Mapping[str, str]) -> Object:
    """Return the object that a text has the keys of; the key with the name may be left out.

    The text of a parameter is its value.

    Raises:
        BadObjectError: it is none.
    """
    check_kind(kind)
    if kind == "parameters" and text.strip():
        return Object(kind, name, text.strip())
    keys, name_key = plain_keys(_read(text, file, environ)), KINDS[kind]
    if not keys:
        raise BadObjectError(
            f"{file} is empty: expected keys and values, at least {name_key or 'one'}, or the value of a parameter"
        )
    written = name if name_key is None else keys.pop(name_key, name)
    if written != name:
        raise BadObjectError(f"{file}: {name_key}: value {written!r}: expected {name}, the name that was given")
    return Object(kind, name, keys)


def read_objects(text: str, file: str, environ: Mapping[str, str]) -> list[Object]:
    """Return the objects of a file with sections, such as ``accounts`` with its list.

    Raises:
        BadObjectError: there are none, a section is none of those whose objects the database may define, or an item
            has no name.
    """
    found: list[Object] = []
    for kind, entry in _read(text, file, environ).entries.items():
        check_kind(kind)
        if entry.is_empty:
            continue
        if KINDS[kind] is None and isinstance(entry.node, Section):
            found += [Object(kind, name, _plain(each.node)) for name, each in entry.node.entries.items()]
        elif KINDS[kind] is not None and isinstance(entry.node, YamlList):
            found += [_item(kind, node) for node in entry.node.items]
        else:
            message = f"{entry.place}: {kind}: expected a {'mapping' if KINDS[kind] is None else 'list'} of objects"
            raise BadObjectError(message)
    numbers = Counter((each.kind, each.name) for each in found)
    for (kind, name), number in numbers.items():
        if number > 1:
            raise BadObjectError(f"{file}: {kind}: value {name!r}: expected each object once")
    if not found:
        raise BadObjectError(f"{file} has no objects: expected sections such as accounts")
    return found


def _item(kind: str, node: Node) -> Object:
    name_key = KINDS[kind]
    assert name_key is not None
    if isinstance(node, Section):
        keys = plain_keys(node)
        name = keys.pop(name_key, None)
        if isinstance(name, str):
            return Object(kind, name, keys)
    raise BadObjectError(f"{node.place}: {kind}.{name_key}: expected keys and values in each item, with its name")


def _read(text: str, file: str, environ: Mapping[str, str]) -> Section:
    problems = ProblemList()
    document = parse_document(text, file, environ, problems)
    if document is None or problems.has_errors:
        raise BadObjectError("\n".join(map(str, problems.in_order())))
    return document


def plain_keys(section: Section) -> dict[str, Any]:
    """Return the keys of a section with their values as they are written."""
    return {name: _plain(entry.node) for name, entry in section.entries.items() if not entry.is_empty}


def _plain(node: Node) -> Any:
    """Return a value as it is written: variables of the environment stay variables."""
    match node:
        case Scalar():
            return node.written
        case YamlList():
            return [_plain(item) for item in node.items]
        case Section():
            return plain_keys(node)
