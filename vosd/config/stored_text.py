"""Objects of the database as lines of YAML, so that they are read by the code that reads the files (ADR 105).

Each kind is one text with a line for each object, in the order of the lines, which ends in the object's version as a
comment. Refuses to know what the keys mean.
"""

import json
import re
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from vosd.base.errors import VosError
from vosd.catalogue.problems import Problem, ProblemList, suggestion
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.kept import Stored
from vosd.config.reader.document import Listing, Node, Scalar, Section, parse_document

KINDS: Final[Mapping[str, str | None]] = {
    "accounts": "id",
    "mapping_gateways": "name",
    "routing_gateways": "name",
    "phones": "number",
    "rate_groups": "name",
    "routing_plans": "name",
    "calendars": "name",
    "number_lists": "name",
    "number_pools": "name",
    "templates": None,
    "parameters": None,
}
"""Sections whose objects the database may define, and the key with the name; None = the section has names as keys."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/+-]*\Z", re.ASCII)
_ESCAPED: Final = re.compile("[&\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
"""Characters that are written escaped: a YAML parser refuses them or ends a line there, or a text is not split."""
_LINE: Final = re.compile(r"(?:- \{[a-z]+: |  )(\"(?:[^\"\\]|\\.)*\"|[^\s,:}]+).* # (\d+)\Z", re.DOTALL)
_WIDTH: Final = 120
_SUFFIX: Final = " in the database"


class BadObjectError(VosError):
    """The text is not the keys of one object; the message says where and what is expected."""


class Object(NamedTuple):
    """One object as it is written somewhere."""

    kind: str
    name: str
    keys: Any
    """Keys and values without the name: texts, lists and mappings. A parameter has its value here."""

    @property
    def body(self) -> str:
        """The keys as the database holds them."""
        return json.dumps(self.keys, ensure_ascii=False, separators=(",", ":"))


def keys_of(body: str) -> Any:
    """Return the keys of a body."""
    return json.loads(body)


def file_of(kind: str, config: Path) -> Path:
    """Return what messages call the text of a kind: paths within it are relative to the configuration."""
    return config.parent / f"{kind}{_SUFFIX}"


def with_changes(before: str, kind: str, changes: Iterable[ObjectVersion]) -> str:
    """Return the text of a kind after changes; an empty ``before`` has no objects, and so has an empty result."""
    lines = before.splitlines()[1:]
    for each in changes:
        _take_out(lines, kind, each.name)
        if each.body is not None:
            insort(lines, _line(kind, each))
    return "\n".join((f"{kind}:", *lines, "")) if lines else ""


def _take_out(lines: list[str], kind: str, name: str) -> None:
    head = _head(kind, name)
    for end in (",", "}") if KINDS[kind] is not None else (":",):
        place = bisect_left(lines, head + end)
        if place < len(lines) and lines[place].startswith(head + end):
            del lines[place]
            return


def _line(kind: str, each: ObjectVersion) -> str:
    assert each.body is not None
    head, keys = _head(kind, each.name), keys_of(each.body)
    if KINDS[kind] is None:
        return f"{head}: {_flow(keys)} # {each.version}"
    return f"{', '.join((head, *_pairs(keys)))}}} # {each.version}"


def _head(kind: str, name: str) -> str:
    key = KINDS[kind]
    return f"  {_flow(name)}" if key is None else f"- {{{key}: {_flow(name)}"


def _pairs(keys: Mapping[str, Any]) -> list[str]:
    return [f"{_flow(key)}: {_flow(value)}" for key, value in keys.items()]


def _flow(value: Any) -> str:
    """Return a value as YAML has it within one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(_pairs(value))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    text = str(value)
    if _PLAIN.match(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def naming_objects(found: Iterable[Problem], texts: Mapping[Path, str]) -> tuple[Problem, ...]:
    """Return problems that name objects of the database instead of lines of the texts that hold them."""
    if not texts:
        return tuple(found)
    lines = {str(path): (path.name.removesuffix(_SUFFIX), text.splitlines()) for path, text in texts.items()}
    anywhere = re.compile(rf"({'|'.join(map(re.escape, lines))})(?::(\d+))?")

    def named(match: re.Match[str]) -> str:
        kind, rows = lines[match[1]]
        return _named(kind, rows, int(match[2] or 0))

    def naming(each: Problem) -> Problem:
        expected = anywhere.sub(named, each.expected)
        if each.file in lines:
            kind, rows = lines[each.file]
            each = each._replace(file=_named(kind, rows, each.line), line=0)
        return each._replace(expected=expected)

    return tuple(map(naming, found))


def _named(kind: str, lines: list[str], line: int) -> str:
    match = _LINE.match(lines[line - 1]) if 1 < line <= len(lines) else None
    if match is None:
        return f"{kind}{_SUFFIX}"
    name = json.loads(match[1]) if match[1].startswith('"') else match[1]
    return f"{kind} {name} (version {match[2]}){_SUFFIX}"


def overlaid(stored: Stored, changes: Iterable[ObjectVersion]) -> Stored:
    """Return what the database would define after changes."""
    texts = dict(stored.objects)
    for kind, group in groupby(sorted(changes, key=_kind_of), _kind_of):
        text = with_changes(texts.pop(kind, ""), kind, group)
        if text:
            texts[kind] = text
    return stored._replace(objects=texts)


def _kind_of(each: ObjectVersion) -> str:
    return each.kind


def yaml_of(keys: Any) -> str:
    """Return the keys of one object as a person would write them."""
    if isinstance(keys, str):
        return f"{keys}\n"
    return yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=_WIDTH) if keys else ""


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


def check_kind(kind: str) -> None:
    """Raise BadObjectError where the database cannot define objects of a kind."""
    if kind not in KINDS:
        message = f"{kind!r} is no kind of object; {suggestion(kind, KINDS)}"
        raise BadObjectError(message)


def read_object(kind: str, name: str, text: str, file: str, environ: Mapping[str, str]) -> Object:
    """Return the object that a text has the keys of; the key with the name may be left out.

    The text of a parameter is its value.

    Raises:
        BadObjectError: it is none.
    """
    check_kind(kind)
    if kind == "parameters":
        return Object(kind, name, text.strip())
    keys = _keys(_read(text, file, environ))
    name_key = KINDS[kind]
    written = name if name_key is None else keys.pop(name_key, name)
    if written != name:
        message = f"{file}: {name_key}: value {written!r}: expected {name}, the name that was given"
        raise BadObjectError(message)
    return Object(kind, name, keys)


def read_objects(text: str, file: str, environ: Mapping[str, str]) -> list[Object]:
    """Return the objects of a file with sections, such as ``accounts`` with its list.

    Raises:
        BadObjectError: a section is none of those whose objects the database may define, or an item has no name.
    """
    found: list[Object] = []
    for kind, entry in _read(text, file, environ).entries.items():
        check_kind(kind)
        if entry.is_empty:
            continue
        if KINDS[kind] is None and isinstance(entry.node, Section):
            found += [Object(kind, name, _plain(each.node)) for name, each in entry.node.entries.items()]
        elif KINDS[kind] is not None and isinstance(entry.node, Listing):
            found += [_item(kind, node) for node in entry.node.items]
        else:
            message = f"{entry.place}: {kind}: expected a {'mapping' if KINDS[kind] is None else 'list'} of objects"
            raise BadObjectError(message)
    numbers = Counter((each.kind, each.name) for each in found)
    for (kind, name), number in numbers.items():
        if number > 1:
            message = f"{file}: {kind}: value {name!r}: expected each object once"
            raise BadObjectError(message)
    return found


def _item(kind: str, node: Node) -> Object:
    name_key = KINDS[kind]
    assert name_key is not None
    if isinstance(node, Section):
        keys = _keys(node)
        name = keys.pop(name_key, None)
        if isinstance(name, str):
            return Object(kind, name, keys)
    message = f"{node.place}: {kind}.{name_key}: expected keys and values in each item, with its name"
    raise BadObjectError(message)


def _read(text: str, file: str, environ: Mapping[str, str]) -> Section:
    problems = ProblemList()
    document = parse_document(text, file, environ, problems)
    if document is None or problems.has_errors:
        raise BadObjectError("\n".join(map(str, problems.in_order())))
    return document


def _keys(section: Section) -> dict[str, Any]:
    return {name: _plain(entry.node) for name, entry in section.entries.items() if not entry.is_empty}


def _plain(node: Node) -> Any:
    """Return a value as it is written: variables of the environment stay variables."""
    match node:
        case Scalar():
            return node.written
        case Listing():
            return [_plain(item) for item in node.items]
        case Section():
            return _keys(node)
