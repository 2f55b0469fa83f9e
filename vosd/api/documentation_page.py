"""The OpenAPI document as one page of HTML for people: no script, nothing from another place."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; color: #222 }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #888 } summary { cursor: pointer; padding: .3rem 0 }
details { border-bottom: 1px solid #ccc } details > *:not(summary) { margin-left: 1.2rem }
table { border-collapse: collapse; margin: .5rem 0; width: calc(100% - 1.2rem) }
td, th { border: 1px solid #ccc; padding: .2rem .5rem; text-align: left; vertical-align: top }
code, pre { font: 13px/1.4 ui-monospace, monospace } pre { background: #f4f4f4; padding: .5rem; overflow-x: auto }
b { display: inline-block; min-width: 4.5rem } nav a { margin-right: 1rem }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } pre { background: #282828 } }
"""
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Content-Security-Policy of the page: its own style, and nothing else."""


def documentation_page(whole: Mapping[str, Any]) -> bytes:
    """Return the page of a document."""
    subjects: dict[str, list[str]] = {}
    for path, methods in whole["paths"].items():
        for method, each in methods.items():
            subjects.setdefault(path.split("/")[1], []).append(_operation(whole, method, path, each))
    names = "\n".join(f'<a href="#{name}">{name}</a>' for name in [*subjects, "types"])
    schemas = whole["components"]["schemas"].items()
    parts = [f'<h2 id="{name}">{name}</h2>\n' + "\n".join(each) for name, each in subjects.items()]
    parts.append('<h2 id="types">types</h2>\n' + "\n".join(_type(name, each) for name, each in schemas))
    title = escape(f"{whole['info']['title']} {whole['info']['version']}")
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1><p>{_said(whole['info']['description'])} Paths are below "
        f"<code>{escape(whole['servers'][0]['url'])}</code>; <code>docs/api.md</code> has recipes.</p>"
        f"<nav>{names}</nav>\n" + "\n".join(parts) + "</body></html>\n"
    )
    return text.encode()


def _operation(whole: Mapping[str, Any], method: str, path: str, each: Mapping[str, Any]) -> str:
    needed = f"Needs <code>{each['x-permission']}</code>." if "x-permission" in each else ""
    rows = [
        (field["name"], field["in"], field["schema"], field.get("required", False), field.get("description", ""))
        for field in each["parameters"]
    ]
    examples = ""
    for form, content in each.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        rows += [
            (name, "body", inner, name in schema.get("required", ()), inner.get("description", ""))
            for name, inner in schema.get("properties", {}).items()
        ]
        if not schema.get("properties"):
            rows.append((form, "body", schema, True, "the content"))
        examples += _example("Body", content)
    answers = []
    for status, answer in each["responses"].items():
        found = whole["components"]["responses"][answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        forms = ", ".join(
            f"<code>{escape(form)}</code> {_kind(content['schema']) if content.get('schema') else ''}"
            for form, content in found.get("content", {}).items()
        )
        answers.append(f"<tr><td>{status}</td><td>{_said(found['description'])}</td><td>{forms}</td></tr>")
        for content in found.get("content", {}).values():
            examples += _example(f"Answer {status}", content)
    return (
        f'<details id="{each["operationId"]}"><summary><b>{method.upper()}</b><code>{escape(path)}</code> '
        f"{_said(each['summary'])}</summary><p>{needed}</p>{_table(rows)}{examples}"
        f"<table><tr><th>status</th><th>answer</th><th>content</th></tr>{''.join(answers)}</table></details>"
    )


def _type(name: str, schema: Mapping[str, Any]) -> str:
    rows = [
        (field, "", inner, field in schema.get("required", ()), inner.get("description", ""))
        for field, inner in schema.get("properties", {}).items()
    ]
    values = ", ".join(f"<code>{escape(str(each))}</code>" for each in schema.get("enum", ()))
    return (
        f'<details id="type-{name}"><summary><code>{name}</code> {_said(schema.get("description", ""))}</summary>'
        f"<p>{values}</p>{_table(rows)}</details>"
    )


def _table(rows: list[tuple[str, str, Mapping[str, Any], bool, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code>{' *' if is_required else ''}</td><td>{place}</td><td>{_kind(schema)}</td>"
        f"<td>{_said(meaning)}</td></tr>"
        for name, place, schema, is_required, meaning in rows
    )
    return f"<table><tr><th>field</th><th></th><th>type</th><th>meaning</th></tr>{lines}</table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a type in words, with links to the types that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    kinds = schema.get("type", "any")
    text = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if kinds == "array":
        text = f"array of {_kind(schema.get('items', {}))}"
    if schema.get("properties") and "items" in schema["properties"]:
        text = f"page of {_kind(schema['properties']['items'].get('items', {}))}"
    return text + "".join(_limits(schema))


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, word in (("format", ""), ("minimum", "from "), ("maximum", "to "), ("maxLength", "up to ")):
        if name in schema:
            yield f", {word}{schema[name]}"


def _example(title: str, content: Mapping[str, Any]) -> str:
    if "example" not in content:
        return ""
    return f"<p>{title}:</p><pre>{escape(json.dumps(content['example'], indent=2, ensure_ascii=False))}</pre>"


def _said(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
