"""Every text of the switch that the console shows is there in every language of the console."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sentences import sentences
from syntax_nodes import matches, names_in

from vosd.admin.office.invoice_run import InvoiceOutcome
from vosd.admin.office.jobs import JobKind
from vosd.admin.office.ports import KeySheet
from vosd.admin.office.principal import SHIPPED, Means, Permission
from vosd.admin.office.reports import _OF_COMMON
from vosd.base.cause import EndReason, HangupSource
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.stored_objects import KINDS
from vosd.cli.main import VERBS
from vosd.config.key_sheets import key_sheets
from vosd.invoicing.settlement import InvoiceState
from vosd.obs.alarms import KINDS as KINDS_OF_ALARM
from vosd.routing.dynamic_lists import ListingCause
from vosd.routing.routes import Cause
from vosd.sdp.media import SessionFault
from vosd.storage.disputes import DisputeState
from vosd.storage.ports import EntryKind
from vosd.traffic.ledger_reports import LEDGER_REPORTS
from vosd.traffic.reports import OWNER, REPORTS

TEXTS: Final = Path(__file__).parents[2] / "console/src/text"
LANGUAGES: Final = sorted(file.stem for file in TEXTS.glob("*.json") if file.stem != "en")
READS: Final = re.compile("Show|List|LookUp|Read")
"""Beginning of an order that changes nothing."""
VERBATIM: Final = re.compile(r"`[^`]+`|[A-Z]+_[A-Z0-9_]+")
"""Names of keys, values and parameters, which no language translates."""
NOTES: Final = re.compile(r"\b(audit_line|noted)\(|\bwho, order\b(?!:)")
"""Calls that write a line of the audit, and those that are given the order for it."""
NAMES: Final = (
    KINDS_OF_ALARM,
    JobKind,
    EntryKind,
    ListingCause,
    Means,
    Target,
    Setting,
    InvoiceState,
    InvoiceOutcome,
    DisputeState,
    SessionFault,
)
"""What has a name for programs, which another language shows in words."""
TEXTS_OF: Final = {
    "Action": ("change", ""),
    "ActsFor": ("value", ""),
    "BillClass": ("bills", "result_"),
    "DisputeState": ("bills", "state_"),
    "InvoiceSection": ("invoice", "section_"),
    "JobState": ("value", ""),
    "Mode": ("rates", "mode_"),
    "MonthObstacle": ("months", "obstacle_"),
    "TrialResult": ("testcall", "result_"),
}
"""Part of the texts of the console that has the values of an enumeration of the API, and how their names begin."""
STATES: Final = {
    "InvoiceState",
    "PaymentType",
    "AccountBalance.category",
    "AccountBalance.type",
    "AlarmRow.level",
    "CallSnapshot.state",
    "DatabaseReport.state",
    "ExplainedRoute.result",
    "GatewayRow.state",
    "InboundRow.direction",
    "InvoiceSheet.kind",
    "PaymentReceipt.type",
    "PersonSheet.state",
    "ProblemSheet.severity",
    "RateGroupSheet.price_per",
    "RateGroupSheet.rates_from",
    "ScheduledReportRow.every",
    "ScheduledReportRow.form",
}
"""Enumerations of the API, and fields whose meaning has the values, that the console shows as states."""
NO_STATES: Final = {
    "BulkAction",
    "EventType",
    "PartnerDirection",
    "RingOrder",
    "Right",
    "ViewPage",
    "JobKind",
    "Setting",
    "Permission",
}
"""Those that the console shows as names, since filters and forms take these, or not at all. Permissions have a test."""
OF_SWITCH: Final = ("daemon/", "engine/", "media/", "net/", "obs/", "routing/", "storage/faults.py")
"""Modules whose sentences the first page may show, as what an alarm or a gateway at rest says."""
PARTS: Final = ("switch", "server")
"""Parts of the file of a language that have texts by the English ones: the small one is read with the first page."""
PLACE: Final = re.compile(r"\{\d+\}")


def shown(keys: tuple[KeySheet, ...]) -> Iterator[str]:
    for key in keys:
        yield from (key.meaning, key.unit)
        if key.form in {"map", "text_or_map"} or key.name.isupper():
            yield key.expected
        yield from shown(key.keys)


def english() -> dict[str, str]:
    """Return the texts of all declarations that forms are drawn from, of reports and units of alarms, and sentences.

    Each has the part of the file of a language that it stands in.
    """
    said = sentences()
    names = {*(each.word for each in Cause), *(each.text for each in HangupSource)}
    names.update(each.value for kind in NAMES for each in kind)
    found = {*said, *names}
    for kind in map(key_sheets, KINDS):
        found.update((kind.meaning, *shown(kind.keys)), shown((kind.named,) if kind.named else ()))
    found.update(each.meaning for each in (*REPORTS.values(), *LEDGER_REPORTS.values()))
    calls = (node for _, node in matches(("engine/alarms",), "unit=") if isinstance(node, ast.Call))
    units = (each.value for call in calls for each in call.keywords if each.arg == "unit")
    found.update(str(unit.value) for unit in units if isinstance(unit, ast.Constant))

    def is_of_switch(text: str) -> bool:
        return " " not in text or text in names or said.get(text, "").startswith(OF_SWITCH)

    return {text: "switch" if is_of_switch(text) else "server" for text in found - {""}}


def test_each_value_of_the_api_that_the_console_shows_has_words() -> None:
    """States that are plain English words need a text in the other languages alone, which may be that of the server."""
    schemas = json.loads((TEXTS.parents[2] / "docs/openapi.json").read_text())["components"]["schemas"]
    values = {name: set(schema["enum"]) for name, schema in schemas.items() if "enum" in schema}
    assert values.keys() - TEXTS_OF.keys() - STATES - NO_STATES == set(), "say by which texts the console shows it"
    for name in STATES - values.keys():
        schema, field = name.split(".")
        meaning = schemas[schema]["properties"][field]["description"]
        values[name] = set(re.findall("`([^`]+)`", meaning))
        assert values[name], name
    lacking = []
    for language in ("en", *LANGUAGES):
        texts = json.loads((TEXTS / f"{language}.json").read_text())
        for name, (part, begin) in TEXTS_OF.items():
            lacking += [(language, name, each) for each in values[name] if begin + each not in texts[part]]
        known = texts["value"].keys() | {text for part in PARTS for text in texts.get(part, {})}
        for name in STATES:
            named = values[name] if language != "en" else {each for each in values[name] if "_" in each}
            lacking += [(language, name, each) for each in named - known]
    assert lacking == []


def test_each_step_of_the_set_up_has_words() -> None:
    assert json.loads((TEXTS / "en.json").read_text())["try"]["step"].keys() == {each.__name__ for each in STEPS}


def test_the_console_offers_each_end_reason() -> None:
    offered = (TEXTS.parent / "parts/ended.tsx").read_text().partition("const REASONS")[2].partition("]")[0]
    assert re.findall(r'"([^"]+)"', offered) == [each.text for each in EndReason]


def test_the_commands_from_which_the_console_leads_to_a_page_are_there() -> None:
    places = (TEXTS.parent / "places.ts").read_text().partition("const VERBS")[2].partition("};")[0]
    named = set(re.findall(r"^  ([a-z]+):", places, re.MULTILINE))
    assert "cdr" in named
    assert named - VERBS.keys() == set()


def test_each_column_of_a_report_has_a_name() -> None:
    """The other languages have the same names as English, which a test of the console looks at."""
    columns = {"span", *OWNER, *_OF_COMMON}
    columns.update(name for report in REPORTS.values() for name in (*report.by, *report.figures))
    columns.update(name for report in LEDGER_REPORTS.values() for name, _, _ in report.columns)
    assert columns - json.loads((TEXTS / "en.json").read_text())["column"].keys() == set()


def test_each_end_reason_has_a_word() -> None:
    assert {each.text for each in EndReason} - json.loads((TEXTS / "en.json").read_text())["value"].keys() == set()


def test_each_permission_and_each_role_that_ships_has_a_word() -> None:
    """The other languages have the same names as English, which a test of the console looks at."""
    texts = json.loads((TEXTS / "en.json").read_text())
    named = {
        f"{subject}.{act}" if act else subject
        for subject, acts in texts["permission"].items()
        for act in (acts if isinstance(acts, dict) else ("",))
    }
    assert named == set(Permission)
    assert texts["role"].keys() == SHIPPED.keys()
    assert texts["reportname"].keys() == REPORTS.keys() | LEDGER_REPORTS.keys()


def test_each_fact_of_an_alarm_has_a_word() -> None:
    texts = json.loads((TEXTS / "en.json").read_text())
    alarms = {f"Event.{event.name}" for event in KINDS_OF_ALARM}
    facts = set()
    for _, node in matches(("",), "Event."):
        if isinstance(node, ast.Call) and any(ast.unparse(each).removesuffix(".value") in alarms for each in node.args):
            facts.update(keyword.arg for keyword in node.keywords if keyword.arg)
    for _, node in matches(("engine/alarms",), ".judge(", "self._raised.value"):
        # a limit that is passed: its facts are those of the threshold and of what has judged it
        is_raised = isinstance(node, ast.Call) and "self._raised.value" in map(ast.unparse, node.args)
        is_judged = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".judge")
        if isinstance(node, ast.Call) and (is_raised or is_judged):
            facts.update(keyword.arg for keyword in node.keywords if keyword.arg and keyword.arg != "subject")
    assert {"why", "do", "account", "value", "unit"} <= facts
    assert facts - texts["fact"].keys() == set()


def test_each_order_that_the_audit_names_has_a_word() -> None:
    texts = json.loads((TEXTS / "en.json").read_text())
    ordered = set()
    for _, node in matches(("admin/office",), "audit_line", ".noted("):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        # an order may also come with what was prepared of it
        if node.name == "__init__" or NOTES.search(ast.unparse(node)):
            named = [each.annotation for each in (*node.args.args, *node.args.kwonlyargs) if each.arg == "order"]
            ordered.update(name for each in named if each is not None for name in names_in(each))
    ordered = {name for name in ordered - {"msgspec"} if not READS.match(name)}
    assert {"BookPayment", "ImportDeck", "LogIn", "RunInvoices"} <= ordered
    assert ordered - texts["action"].keys() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_of_the_switch_is_translated(language: str) -> None:
    """A new or changed text in English needs a line in the file of each language; one that is gone takes its line."""
    file = TEXTS / f"{language}.json"
    parts: dict[str, dict[str, str]] = {part: json.loads(file.read_text())[part] for part in PARTS}
    wanted, texts = english(), {text: said for part in parts.values() for text, said in part.items()}
    missing = [(part, text) for text, part in wanted.items() if text not in parts[part]]
    assert sorted(missing) == [], f"add them with their translations to these parts of {file}"
    needless = [(part, text) for part, found in parts.items() for text in found if wanted.get(text) != part]
    assert sorted(needless) == [], f"nothing says them any more, or they are of the other part: remove them from {file}"
    names = {text: (set(VERBATIM.findall(text)), set(VERBATIM.findall(said))) for text, said in texts.items()}
    assert {text: each for text, each in names.items() if each[0] != each[1]} == {}
    places = {text: (sorted(PLACE.findall(text)), sorted(PLACE.findall(said))) for text, said in texts.items()}
    assert {text: each for text, each in places.items() if each[0] != each[1]} == {}
    assert [text for text, said in texts.items() if not said.strip()] == []
