"""Breaking changes of the management API: ``python -m released.api`` writes ``docs/openapi-released.json`` anew.

That file is the document of the last release without its words, a path a line. What a client of that release sends
must be taken, and what it reads must come: fields of requests may be added if they are not required, fields of answers
may be added. Problems are left out: clients tell them apart by their codes.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from vosd.api.openapi import document

RELEASED: Final = Path(__file__).parents[2] / "docs" / "openapi-released.json"
_WORDS: Final = frozenset({"description", "summary", "example", "examples"})
_LOWEST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_HIGHEST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})

Json = dict[str, Any]


def shape(whole: Json) -> Json:
    """Return a document without its words and its problems."""
    paths = {}
    for path, methods in whole["paths"].items():
        kept = {method: dict(each) for method, each in methods.items() if method in _METHODS}
        for each in kept.values():
            each["responses"] = {status: each["responses"][status] for status in each["responses"] if status < "400"}
        paths[path] = _wordless(kept)
    return {"paths": paths, "components": {"schemas": _wordless(whole["components"]["schemas"])}}


def _wordless(value: Any, *, are_names: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            name: _wordless(inner, are_names=name in {"properties", "schemas"} and not are_names)
            for name, inner in value.items()
            if are_names or name not in _WORDS
        }
    return [_wordless(each) for each in value] if isinstance(value, list) else value


def breaking_changes(before: Json, after: Json) -> list[str]:
    """Return what a client of the API ``before`` cannot do, or does not find, in ``after``."""
    return list(_Comparison(before, after).changes())


class _Comparison:
    def __init__(self, before: Json, after: Json) -> None:
        self._before, self._after = before, after
        self._open: set[tuple[str, str]] = set()
        """Pairs of components that are being compared: some refer to themselves."""

    def changes(self) -> Iterator[str]:
        for path, methods in self._before["paths"].items():
            for method, before in methods.items():
                after = self._after["paths"].get(path, {}).get(method)
                where = f"{method.upper()} {path}"
                if after is None:
                    yield f"{where}: the operation is gone"
                    continue
                if before.get("x-permission") != after.get("x-permission"):
                    yield f"{where}: needs {after.get('x-permission')} and not {before.get('x-permission')}"
                yield from self._parameters(where, before, after)
                yield from self._bodies(where, before.get("requestBody"), after.get("requestBody"))
                yield from self._answers(where, before["responses"], after["responses"])

    def _parameters(self, where: str, before: Json, after: Json) -> Iterator[str]:
        known = {(each["in"], each["name"]): each for each in before["parameters"]}
        found = {(each["in"], each["name"]): each for each in after["parameters"]}
        for (place, name), each in known.items():
            there = f"{where}: {place} `{name}`"
            if (place, name) not in found:
                yield f"{there} is gone"
            else:
                yield from self._taken(there, each["schema"], found[place, name]["schema"])
        for (place, name), each in found.items():
            if each.get("required") and not known.get((place, name), {}).get("required"):
                yield f"{where}: {place} `{name}` is required"

    def _bodies(self, where: str, before: Json | None, after: Json | None) -> Iterator[str]:
        known, found = (each["content"] if each else {} for each in (before, after))
        if not known and found:
            yield f"{where}: a body is required"
        for form, each in known.items():
            if form not in found:
                yield f"{where}: a body of {form} is not taken"
            else:
                yield from self._taken(f"{where}: the body", each["schema"], found[form]["schema"])

    def _answers(self, where: str, before: Json, after: Json) -> Iterator[str]:
        for status, answer in before.items():
            if status not in after:
                yield f"{where}: does not answer {status}"
                continue
            found = after[status].get("content", {})
            for form, each in answer.get("content", {}).items():
                there = f"{where}: the answer {status}"
                if form not in found:
                    yield f"{there} does not come as {form}"
                else:
                    yield from self._sent(there, each.get("schema", {}), found[form].get("schema", {}))

    def _taken(self, where: str, before: Json, after: Json) -> Iterator[str]:
        """Yield values that requests may not have any more."""
        known, found = self._kinds(self._before, before), self._kinds(self._after, after)
        for kind, was in known.items():
            now = found.get(kind, found.get("any"))
            if now is None and kind == "integer":
                now = found.get("number")
            if now is None:
                yield f"{where} takes no {kind}"
                continue
            if "enum" in now and (lost := [each for each in was.get("enum", ["any text"]) if each not in now["enum"]]):
                yield f"{where} does not take {', '.join(map(str, lost))}"
            for bound in (*_LOWEST, *_HIGHEST, "pattern", "format"):
                if _is_narrower(bound, was.get(bound), now.get(bound)):
                    yield f"{where} has another {bound}: {was.get(bound)} and then {now[bound]}"
            for name, inner in was.get("properties", {}).items():
                if name in now.get("properties", {}):
                    yield from self._taken(f"{where}, `{name}`", inner, now["properties"][name])
                elif now.get("additionalProperties") is False:
                    yield f"{where} has no field `{name}`"
            for name in now.get("required", ()):
                if name not in was.get("required", ()):
                    yield f"{where} requires `{name}`"
            for part in ("items", "additionalProperties"):
                if isinstance(was.get(part), dict) and isinstance(now.get(part), dict):
                    yield from self._taken(f"{where}, each", was[part], now[part])

    def _sent(self, where: str, before: Json, after: Json) -> Iterator[str]:
        """Yield values that answers did not have, and fields that they do not have any more."""
        pair = (str(before.get("$ref")), str(after.get("$ref")))
        if "$ref" in before and pair in self._open:
            return
        self._open.add(pair)
        known, found = self._kinds(self._before, before), self._kinds(self._after, after)
        for kind, now in found.items():
            was = known.get(kind, known.get("any"))
            if was is None:
                yield f"{where} may be {kind}"
                continue
            for name, inner in was.get("properties", {}).items():
                if name in now.get("properties", {}):
                    yield from self._sent(f"{where}, `{name}`", inner, now["properties"][name])
                else:
                    yield f"{where} has no field `{name}`"
                if name in was.get("required", ()) and name not in now.get("required", (name,)):
                    yield f"{where} may lack the field `{name}`"
            for part in ("items", "additionalProperties"):
                if isinstance(was.get(part), dict) and isinstance(now.get(part), dict):
                    yield from self._sent(f"{where}, each", was[part], now[part])
        self._open.discard(pair)

    def _kinds(self, whole: Json, schema: Json, name: str = "") -> dict[str, Json]:
        """Return the schemas by their types; several objects by the names of their components."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._kinds(whole, whole["components"]["schemas"][name], name)
        if "anyOf" in schema:
            parts = [self._kinds(whole, each) for each in schema["anyOf"]]
            objects = [each["object"] for each in parts if "object" in each]
            found = {kind: each for part in parts for kind, each in part.items() if kind != "object"}
            if len(objects) == 1:
                return found | {"object": objects[0]}
            return found | {str(each.get("title")): each for each in objects}
        types = schema.get("type", "string" if "enum" in schema else "any")
        if isinstance(types, list):
            return dict.fromkeys(types, schema)
        return {types: schema | ({"title": name} if name else {})}


def _is_narrower(bound: str, was: Any, now: Any) -> bool:
    if now is None or was == now:
        return False
    if was is None or bound not in (*_LOWEST, *_HIGHEST):
        return True
    return bool(now > was) if bound in _LOWEST else bool(now < was)


def main() -> None:
    """Write the document of this version as that of the last release."""
    found = shape(document())
    lines = [f"{json.dumps(path)}: {json.dumps(each)}" for path, each in found["paths"].items()]
    schemas = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in found["components"]["schemas"].items()]
    paths, components = ",\n".join(lines), ",\n".join(schemas)
    RELEASED.write_text(f'{{"paths": {{\n{paths}\n}}, "components": {{"schemas": {{\n{components}\n}}}}}}\n')


if __name__ == "__main__":
    sys.exit(main())
