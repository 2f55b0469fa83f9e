"""A log event is a name that programs can search for, such as ``gateway_down``, not a phrase."""

import ast
import re
from pathlib import Path
from typing import Final

from vosd.obs.events import Event
from vosd.sip.drops import Drop

ROOT: Final = Path(__file__).parents[2]
LEVELS: Final = {"debug", "info", "warning", "error", "exception"}
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def written_events() -> dict[str, str]:
    """Return the place of each event that is written as a literal where it is logged."""
    found = {}
    for path in (ROOT / "vosd").rglob("*.py"):
        text = path.read_text()
        if "_log." not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("_log"), attr=level), args=[ast.Constant(value=event), *_]
                ) if level in LEVELS:
                    found[event] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found


def test_every_log_event_is_a_name():
    written = written_events()
    assert {"messages_dropped", "packets_not_marked"} <= set(written)
    names = [*written, *(event.value for event in Event), *(drop.event for drop in Drop)]
    assert [name for name in names if not NAME.fullmatch(name)] == []
