"""A log event is a name that programs can search for, such as ``gateway_down``, not a phrase."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Final

from vosd.obs.alarms import KINDS
from vosd.obs.events import BACK, Event
from vosd.sip.drops import Drop

ROOT: Final = Path(__file__).parents[2]
LEVELS: Final = {"debug", "info", "warning", "error", "exception"}
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@cache
def written_events() -> dict[str, set[str]]:
    """Return the levels of each event, as a literal or a member of ``Event``, where it is logged."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "vosd").rglob("*.py"):
        text = path.read_text()
        if "_log." not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("_log"), attr=level), args=[ast.Constant(value=event), *_]
                ) if level in LEVELS:
                    found[event].add(level)
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("_log"), attr=level),
                    args=[ast.Attribute(value=ast.Attribute(value=ast.Name("Event"), attr=name), attr="value"), *_],
                ) if level in LEVELS:
                    found[Event[name].value].add(level)
    return found


def test_every_log_event_is_a_name():
    written = written_events()
    assert {"messages_dropped", "packets_not_marked"} <= set(written)
    names = [*written, *(event.value for event in Event), *(drop.event for drop in Drop)]
    assert [name for name in names if not NAME.fullmatch(name)] == []


def test_every_event_that_is_no_alarm_has_its_row_in_the_page_of_the_log():
    page = (ROOT / "docs" / "operations" / "log.md").read_text()
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| ([a-z, ]+) \|", page, re.MULTILINE))
    alarms = {event.value for event in (*KINDS, *BACK.values())}
    written = written_events()
    of_sources = {drop.event for drop in (Drop.UNKNOWN_SOURCE, Drop.LOCKED_OUT, Drop.WRONG_CREDENTIALS)}
    assert set(listed) == {*written, *(event.value for event in Event), *of_sources} - alarms
    levels = {name: set(level.split(", ")) for name, level in listed.items() if name in written}
    assert levels == {name: written[name] for name in levels}
