"""Texts for operators name what exists: keys and their values, parameters, figures, columns, events and verbs."""

import ast
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from click import Context, Group

from vosd.admin import advice
from vosd.admin.advice import Advice
from vosd.admin.office.principal import Permission
from vosd.cdr.columns import KEYS
from vosd.cli.main import main
from vosd.config.keys.names_of_vos3000 import INSTALLATION, PARAMETERS
from vosd.config.keys.parameters import WITHOUT_EFFECT, ParameterKeys
from vosd.obs.events import Event
from vosd.obs.figures import Figure
from vosd.obs.remedies import REMEDIES

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = (ROOT / "docs" / "configuration.md").read_text()

PARAMETER: Final = re.compile(r"\b(?:SS|SERVER)_[A-Z0-9_]*[A-Z0-9](?!_?…|[A-Z0-9_])")
DOTTED: Final = re.compile(r"(?<![\w./+])([a-z][a-z_]+(?:\.[a-z][a-z_]+)+)\b(?![\w(/]|\.[a-z])")
UNDERSCORED: Final = re.compile(r"(?<![\w./-])([a-z]+(?:_[a-z]+)+)\b(?![.(/])")
WRITTEN: Final = re.compile(r"(?<![\w.])([a-z]+(?:_[a-z]+)+): ([a-z]+)\b")
VERB: Final = re.compile(r"\bvosd((?: [a-z][a-z-]*| --[a-z-]+)+)")

FILES: Final = {"json", "yaml", "md", "py", "csv", "gz", "db", "log", "lock", "service", "timer", "sock", "conf"}
OTHER_NAMES: Final = {
    "datagram_not_sent": "an event of the log that no alarm is made of",
    "datagram_not_delivered": "an event of the log that no alarm is made of",
}


def keys() -> dict[str, set[str]]:
    """Return what may be written for each key, by its path (``alarms.webhook.url``), as the reference has it."""
    found: dict[str, set[str]] = defaultdict(set)
    section = ""
    for line in REFERENCE.splitlines():
        if line.startswith("## "):
            named = re.fullmatch(r"## `([a-z_\[\].]+)`", line)
            section = "" if named is None else f"{named[1].replace('[]', '')}."
            found[section.rstrip(".")].add("")
        elif row := re.match(r"\| `([A-Za-z_0-9]+)` \| ([^|]*) \|", line):
            found[section + row[1]].add(row[2])
        elif same := re.match(r"The keys are those of \[`([a-z_\[\].]+)`\]", line):
            before = f"{same[1].replace('[]', '')}."
            found |= {path.replace(before, section): found[path] for path in [*found] if path.startswith(before)}
    return found


PATHS: Final = keys()
LAST: Final = {path.rpartition(".")[2] for path in PATHS}
TOPS: Final = {path.partition(".")[0] for path in PATHS if "." in path}


def remedies() -> Iterator[tuple[str, str]]:
    """Return the place and the text of all that says what to do."""
    for event, text in REMEDIES.items():
        yield f"remedy of {event.value}", text
    tables = [each if isinstance(each, dict) else {"": each} for each in vars(advice).values()]
    for each in (each for table in tables for each in table.values() if isinstance(each, Advice)):
        yield "advice", f"{each.said} {each.todo}"
    for figure in Figure:
        yield f"figure {figure.value}", figure.meaning


@cache
def messages() -> list[tuple[str, str]]:
    """Return the place and the text of every literal of the program but docstrings, f-strings piece by piece."""
    found: list[tuple[str, str]] = []
    for path in sorted((ROOT / "vosd").rglob("*.py")):
        nodes, file = list(ast.walk(ast.parse(path.read_text()))), path.relative_to(ROOT)
        bare = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        found.extend(
            (f"{file}:{node.lineno}", node.value)
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
        )
    return found


def pages() -> Iterator[tuple[str, str]]:
    """Return the pages that are read when something is wrong."""
    for path in (ROOT / "docs" / "operations.md", *sorted((ROOT / "docs" / "operations").glob("*.md"))):
        yield path.name, path.read_text()


def test_every_parameter_that_a_text_names_is_one():
    known = {*LAST, *WITHOUT_EFFECT, *ParameterKeys.aliases}
    known |= {
        word for names in (INSTALLATION, PARAMETERS) for each in names.values() for word in re.split(r"[ ,]+", each)
    }
    assert {"SS_SIP_NAT_KEEP_ALIVE_PERIOD", "SERVER_MAX_CDR_PENDING_LIST_LENGTH"} <= known
    texts = [*remedies(), *messages(), *pages()]
    assert [(place, name) for place, text in texts for name in PARAMETER.findall(text) if name not in known] == []


def test_every_key_with_its_section_that_a_text_names_is_one():
    known = {*PATHS, *(permission.value for permission in Permission), *(f"cdr.{name}" for name in KEYS)}
    assert "alarms.disk_free" in known
    texts = [*remedies(), *messages(), *pages()]
    assert [
        (place, name)
        for place, text in texts
        for name in DOTTED.findall(text)
        if name.partition(".")[0] in TOPS
        and name.rpartition(".")[2] not in FILES
        and ".example." not in name
        and name not in known
    ] == []


def test_every_name_with_an_underscore_in_what_to_do_is_one():
    known = {*LAST, *KEYS, *(each.value for each in (*Event, *Figure)), *OTHER_NAMES}
    assert [
        (place, name) for place, text in remedies() for name in UNDERSCORED.findall(text) if name not in known
    ] == []


def test_every_value_that_a_text_says_to_write_is_one_of_the_key():
    choices = defaultdict(set)
    for path, values in PATHS.items():
        for value in values:
            if value.startswith("one of "):
                choices[path.rpartition(".")[2]] |= {*value.removeprefix("one of ").split(", ")}
    assert choices["reliable_provisionals"] == {"off", "supported", "required"}
    assert [
        (place, name, value)
        for place, text in (*remedies(), *messages(), *pages())
        for name, value in WRITTEN.findall(text)
        if name in choices and value not in choices[name]
    ] == []


def unknown_words(command: str) -> list[str]:
    """Return the words of a command line that are neither verbs nor options of them."""
    group: object = main
    words = shlex.split(command)
    context = Context(main)
    for position, word in enumerate(words):
        if isinstance(group, Group) and not word.startswith("-"):
            inner = group.get_command(context, word)
            if inner is None:
                return words[position:]
            group = inner
        elif word.startswith("-") and word not in {*(name for each in group.params for name in each.opts), "--help"}:
            return [word]
    return []


def test_every_verb_and_option_in_what_to_do_exists():
    found = [(place, command) for place, text in remedies() for command in VERB.findall(text)]
    assert len(found) > 40
    assert [(place, command) for place, command in found if unknown_words(command)] == []
