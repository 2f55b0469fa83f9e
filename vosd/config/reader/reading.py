"""Nodes to models: a section is validated as a whole, and every mistake is reported at its line."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, Protocol, TypeVar, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.reader.direct import read_directly
from vosd.config.reader.document import Entry, Node, Scalar, Section, YamlList, written_in, written_in_list
from vosd.config.reader.fields import FromText, KeyProblemError, Keys
from vosd.config.reader.renamed import hint

Model = TypeVar("Model", bound=Keys)
Trail = tuple[str | int, ...]
"""The path from a section to a value inside: keys and positions in lists."""
_A_LIST: Final = "a list: lines that begin with '- '"
_NAMED: Final = 5
"""Most keys of a section that are named where something else stands."""


class Spot(NamedTuple):
    """The value at the end of a trail: its line, the key as spelled in the file, the value as written."""

    place: SourceLine
    key: str
    written: str | None


class Source(Protocol):
    """Source of the values of a model: a mapping of YAML, or a line of CSV."""

    @property
    def place(self) -> SourceLine:
        """Place of its first line."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Return dictionaries, lists and text, by the model's keys."""

    def spot(self, trail: Trail) -> Spot:
        """Return the deepest part of the trail that is present."""


def read_section(
    model: type[Model], section: Section, key: str, problems: ProblemList, defaults: Mapping[str, Any] | None = None
) -> Model | None:
    """Validate one mapping; None means that at least one error was added to ``problems``.

    ``key`` is what messages call the mapping. ``defaults`` are values as text that hold where the section has
    none, laid under it at every depth.
    """
    if (read := read_directly(model, _texts_of(section, defaults))) is not None:
        return read
    source = SectionSource(model, section, key, problems)
    return _validated(model, source, problems, defaults)


def read_sound_part(model: type[Model], section: Section, defaults: Mapping[str, Any]) -> Model:
    """Validate a mapping without what is wrong in it, for the checks of everything else: its mistakes are reported."""
    values = _laid_over(SectionSource(model, section, "", ProblemList()).values, defaults)
    while True:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            trails = map(_trail_of, error.errors(include_url=False, include_input=False))
            if not any(_leave_out(values, trail) for trail in trails if trail):
                return model()


def _leave_out(values: dict[str, Any], trail: Trail) -> bool:
    """Remove the value at a trail, or the deepest around it that has a key of its own; return whether there was one."""
    name, inner = str(trail[0]), values.get(str(trail[0]))
    if len(trail) > 1 and isinstance(inner, dict) and trail[1] in inner:
        return _leave_out(inner, trail[1:])
    return values.pop(name, None) is not None


def validate(model: type[Model], source: Source, problems: ProblemList) -> Model | None:
    """Validate what was read from a source, as ``read_section`` does."""
    if (read := read_directly(model, source.values)) is not None:
        return read
    return _validated(model, source, problems, None)


def _texts_of(section: Section, defaults: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values of a section as they are written: right for a model without sections inside."""
    values = {
        name: node.text if type(node := each.node) is Scalar else _value(node) for name, each in section.entries.items()
    }
    return {**defaults, **values} if defaults else values


def _validated(
    model: type[Model], source: Source, problems: ProblemList, defaults: Mapping[str, Any] | None
) -> Model | None:
    try:
        return model.model_validate(_laid_over(source.values, defaults) if defaults else source.values)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _note(detail, model, source, problems)
        return None


def items_of(document: Section, name: str, problems: ProblemList) -> list[Section]:
    """Remove one list of mappings from the document and return it; an empty value is an empty list."""
    entry = document.entries.pop(name, None)
    if entry is None or entry.is_empty:
        return []
    if not isinstance(entry.node, YamlList):
        problems.error(entry.place, name, _A_LIST)
        return []
    found = []
    for node in entry.node.items:
        if isinstance(node, Section):
            found.append(node)
        else:
            problems.error(node.place, name, "keys and values in each item")
    return found


class SectionSource:
    """One mapping of a document, with its keys in the model's spelling."""

    __slots__ = ("_entries", "_key", "_model", "_spelling", "place")

    def __init__(self, model: type[Keys], section: Section, key: str, problems: ProblemList) -> None:
        self._model = model
        self._key = key
        self.place = section.place
        self._entries = section.entries
        self._spelling: dict[str, str] = {}
        """Keys as they are written, by key; without aliases none, for each is written as it is."""
        if model.aliases.keys().isdisjoint(section.entries):
            return
        self._entries = {}
        for written, entry in section.entries.items():
            name = model.aliases.get(written, written)
            earlier = self._entries.setdefault(name, entry)
            spelling = self._spelling.setdefault(name, written)
            if earlier is not entry:
                expected = f"either {written} or {spelling}, which stands at {earlier.place}"
                problems.error(entry.place, _dotted(key, (written,)), expected)

    @property
    def values(self) -> Mapping[str, Any]:
        """Return dictionaries, lists and text, by the model's keys."""
        return _plain(self._entries, self._model)

    def spot(self, trail: Trail) -> Spot:
        """Return the deepest part of the trail that is present."""
        place, written = _locate(Section(self.place, self._entries), trail)
        shown = list(trail)
        if trail:
            shown[0] = self._spelling.get(str(trail[0]), trail[0])
        if trail[1:] == (0,) and isinstance(self._entries[str(trail[0])].node, Scalar):
            shown.pop()  # one value written without brackets, where a list is allowed
        return Spot(place, _dotted(self._key, shown), written)


def _trail_of(detail: ErrorDetails) -> Trail | None:
    """Return where a mistake is; None = at the value from which this one's default follows, which is reported, too."""
    if detail["type"] == "default_factory_not_called":
        return None
    cause = detail.get("ctx", {}).get("error")
    return (*detail["loc"], cause.key) if isinstance(cause, KeyProblemError) else detail["loc"]


def _note(detail: ErrorDetails, model: type[Keys], source: Source, problems: ProblemList) -> None:
    trail = _trail_of(detail)
    if trail is None:
        return
    spot = source.spot(trail)
    match detail["type"]:
        case "extra_forbidden":
            section = _model_at(model, trail[:-1])
            expected = _instead_of(str(trail[-1]), section)
            inner, _, name = spot.key.rpartition(".")
            if spot.written == "" and inner and name == trail[-1] and not expected.endswith("?"):
                # A password whose key is missing is read as a key without a value.
                expected = "a value for each key; one has none"
                spot = spot._replace(key=inner)
            if trail[-1] not in section.not_built:
                spot = spot._replace(written=None)  # the value of a mistyped key may be a password
        case "missing":
            expected = f"this key: {_expected_at(model, trail)}"
            spot = spot._replace(written=None)
        case "value_error":
            expected = str(detail.get("ctx", {}).get("error"))
        case "tuple_type" if _is_list_of_sections(model, trail):
            expected = _A_LIST
            spot = spot._replace(written=None)  # it may be a secret of a section
        case "tuple_type" | "frozen_set_type":
            expected = "one value, or a list of them"
        case _:  # single values are validated by themselves, so this is a section that is no mapping
            expected = f"keys and values; its keys are {_keys_of(_model_at(model, trail))}"
            spot = spot._replace(written=None)
    problems.error(spot.place, spot.key, expected, spot.written)


def _instead_of(name: str, model: type[Keys]) -> str:
    if name in model.not_built:
        return f"no {name!r}: it is not built yet"
    return f"a known key; {hint(name, [*model.by_key(), *model.apart], model.names_elsewhere)}"


def _keys_of(model: type[Keys]) -> str:
    known = list(model.by_key())
    named = ", ".join(known[:_NAMED])
    return named if len(known) <= _NAMED else f"{named} and {len(known) - _NAMED} more"


def _expected_at(model: type[Keys], trail: Trail) -> str:
    field = _model_at(model, trail[:-1]).by_key().get(str(trail[-1]))
    words = [] if field is None else [word.expected for word in field.metadata if isinstance(word, FromText)]
    return words[0] if words else "which has no default"


def _is_list_of_sections(model: type[Keys], trail: Trail) -> bool:
    field = _model_at(model, trail[:-1]).by_key().get(str(trail[-1]))
    return field is not None and section_in_list(field.annotation) is not None


def _model_at(model: type[Keys], trail: Trail) -> type[Keys]:
    """Follow a trail through nested sections."""
    for part in trail:
        field = model.by_key().get(str(part))
        nested = None if field is None else section_of(field.annotation) or section_in_list(field.annotation)
        model = nested or model
    return model


def section_of(annotation: object) -> type[Keys] | None:
    """Return the model of a field that is a nested section, else None."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, Keys) else None


def section_in_list(annotation: object) -> type[Keys] | None:
    """Return the model of the items of a field that is a list of sections, else None."""
    return next(filter(None, map(section_of, get_args(annotation))), None)


def reading_of(field: FieldInfo) -> tuple[bool, FromText]:
    """Return whether the field is a list, and how one value of it is read."""
    for word in field.metadata:
        if isinstance(word, FromText):
            return False, word
    return True, _item_reading(field.annotation)


def _item_reading(annotation: object) -> FromText:
    parts = get_args(annotation)
    for part in parts:
        if isinstance(part, FromText):
            return part
    for part in parts:
        if get_args(part):
            return _item_reading(part)
    raise TypeError(f"{annotation} does not say how it is read")


def _plain(entries: Mapping[str, Entry], model: type[Keys]) -> dict[str, Any]:
    """Return entries as dictionaries, lists and text; empty nested sections are left out."""
    plain: dict[str, Any] = {}
    sections = _sections_in(model)
    for name, entry in entries.items():
        node = entry.node
        if name not in sections:
            plain[name] = node.text if type(node) is Scalar else _value(node)
        elif isinstance(node, Section):
            plain[name] = _plain(node.entries, sections[name])
        elif not entry.is_empty:
            plain[name] = _value(node)
    return plain


@cache
def _sections_in(model: type[Keys]) -> Mapping[str, type[Keys]]:
    """Return the models of the keys that are nested sections, by key."""
    nested = ((name, section_of(field.annotation)) for name, field in model.by_key().items())
    return {name: each for name, each in nested if each is not None}


def _value(node: Node) -> object:
    match node:
        case Scalar():
            return node.text
        case YamlList():
            return [_value(item) for item in node.items]
        case Section():
            return {name: _value(entry.node) for name, entry in node.entries.items()}


def _laid_over(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **values}
    for name, default in defaults.items():
        if isinstance(default, Mapping) and isinstance(values.get(name), Mapping):
            merged[name] = _laid_over(values[name], default)
    return merged


def _locate(section: Section, trail: Trail) -> tuple[SourceLine, str | None]:
    """Return the place of the deepest part of the trail that is present, and the value if all of it is."""
    place: SourceLine = section.place
    node: Node = section
    for part in trail:
        if isinstance(node, Section) and part in node.entries:
            place, node = node.entries[str(part)].place, node.entries[str(part)].node
        elif isinstance(node, YamlList) and isinstance(part, int):
            node = node.items[part]
            place = node.place
        elif isinstance(node, Scalar) and part == 0:
            break
        else:
            return place, None
    if isinstance(node, YamlList) and isinstance(trail[-1], int):
        return place, written_in_list(node)  # an item that is a list itself, such as a rule of two texts
    return place, written_in(node)


def _dotted(key: str, trail: Iterable[str | int]) -> str:
    dotted = key
    for part in trail:
        dotted += f"[{part}]" if isinstance(part, int) else f".{part}"
    return dotted.lstrip(".")
