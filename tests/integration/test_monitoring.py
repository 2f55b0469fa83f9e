"""The dashboards and alert rules of ``config/``: they name metrics and labels that exist, and say when they must."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from vosd.metrics.declared import METRICS, PROCESSES, MetricKind

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "config" / "prometheus" / "rules.yaml"
DASHBOARDS = sorted((ROOT / "config" / "grafana").glob("*.json"))
OF_TARGETS = {"job", "instance"}
"""Labels that Prometheus adds to every metric."""
OF_PROCESSES = [
    "cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds", "start_time_seconds",
]  # fmt: skip


def known_metrics() -> dict[str, set[str]]:
    """Return the labels of every name that a scrape has."""
    known: dict[str, set[str]] = {"up": set()}
    for prefix in PROCESSES:
        known.update({f"{prefix}_process_{name}".removeprefix("_"): set() for name in OF_PROCESSES})
    for metric in METRICS:
        labels = set(metric.labels)
        ends = {MetricKind.HISTOGRAM: ("_bucket", "_sum", "_count"), MetricKind.SUMMARY: ("_sum", "_count")}.get(
            metric.kind, ("",)
        )
        for end in ends:
            known[f"{metric.name}{end}"] = labels | ({"le"} if end == "_bucket" else set())
    return known


KNOWN = known_metrics()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels(path: Path) -> Iterator[dict[str, Any]]:
    for panel in json.loads(path.read_text())["panels"]:
        if panel["type"] != "row":
            yield panel


def expressions() -> Iterator[tuple[str, str]]:
    """Yield each expression with what it belongs to; variables of Grafana are filled in."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                yield f"{path.stem} {panel['title']}", filled_in(target["expr"])


def filled_in(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$kind", "routing")


def parts(expression: Any) -> Iterator[Any]:
    """Yield every part of a parsed expression."""
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from parts(inner)
    for argument in getattr(expression, "args", ()):
        yield from parts(argument)


def mistakes(expression: str) -> list[str]:
    """Return what an expression names that no scrape has."""
    found, available = [], set(OF_TARGETS)
    whole = list(parts(promql.parse(expression)))
    for part in whole:
        if isinstance(part, promql.VectorSelector):
            labels = KNOWN.get(part.name)
            if labels is None:
                found.append(f"metric {part.name}")
                continue
            available |= labels
            used = {matcher.name for matcher in part.matchers.matchers}
            found += [f"label {label} of {part.name}" for label in used - labels - OF_TARGETS]
    for part in whole:
        if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            found += [f"label {label} of an aggregation" for label in part.modifier.labels if label not in available]
    return found


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_expression_names_metrics_and_labels_that_exist(where, expression):
    assert mistakes(expression) == []


def test_a_metric_or_label_that_does_not_exist_is_found():
    assert mistakes("vosd_call") == ["metric vosd_call"]
    assert mistakes('sum by (kind) (rate(vosd_calls{status="x"}[5m]))') == [
        "label status of vosd_calls",
        "label kind of an aggregation",
    ]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_what_grafana_reads(path):
    written = json.loads(path.read_text())
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    assert missing(written, read) == []
    ids = [panel["id"] for panel in written["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {each["name"] for each in written["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(written)))
    assert used - {"__rate_interval"} == variables
    for first, second in pairs(written["panels"]):
        assert not overlap(first["gridPos"], second["gridPos"]), (first["title"], second["title"])


def missing(written: Any, read: Any, place: str = "") -> list[str]:
    """Return what the model of Grafana did not take from a document."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [fault for key in written for fault in missing(written[key], read.get(key, "nothing"), f"{place}.{key}")]
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        found = zip(written, read, strict=True)
        return [fault for number, (one, two) in enumerate(found) for fault in missing(one, two, f"{place}[{number}]")]
    return [] if written == read else [f"{place}: {written!r} is read as {read!r}"]


def pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    for place, one in enumerate(items):
        for other in items[place + 1 :]:
            yield one, other


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or above)


# -- alerts -------------------------------------------------------------------------------------------------------


class Course(NamedTuple):
    """Series that raise an alert and series that do not, in the notation of promtool, a value a minute."""

    raised: dict[str, str]
    quiet: dict[str, str]
    minutes: int = 85
    """When it is looked at."""


SWITCH = 'instance="sw1", job="vosd"'
ROUTING = f'gateway="a", kind="routing", {SWITCH}'
ATTEMPTS = f"vosd_gateway_attempts_total{{{ROUTING}"
OF_CUSTOMER = f'vosd_gateway_attempts_total{{gateway="acme", kind="mapping", {SWITCH}'

ENDED = f'vosd_calls_ended_total{{reason="Normal", {SWITCH}}}'


def one(series: str, raised: str, quiet: str) -> Course:
    return Course({series: raised}, {series: quiet})


def late(metric: str, low: str, high: str) -> Course:
    """Return a histogram of which all, or none, is above the lower of two bounds."""

    def counts(below: str) -> dict[str, str]:
        return {
            f'{metric}_bucket{{le="{low}", {SWITCH}}}': below,
            f'{metric}_bucket{{le="{high}", {SWITCH}}}': "0+600x90",
            f'{metric}_bucket{{le="+Inf", {SWITCH}}}': "0+600x90",
        }

    return Course(counts("0x90"), counts("0+600x90"))


COURSES = {
    "VosdAway": one(f"up{{{SWITCH}}}", "0x90", "1x90"),
    "VosdNotReady": one(f"vosd_ready{{{SWITCH}}}", "0x90", "1x90"),
    "VosdOverloaded": one(f"vosd_overloaded{{{SWITCH}}}", "1x90", "0x90"),
    "VosdEventLoopLate": late("vosd_event_loop_lag_seconds", "0.1", "0.2"),
    "VosdProcessorBusy": one(f'vosd_processor_use_ratio{{process="media worker 1", {SWITCH}}}', "0.8x90", "0.6x90"),
    "VosdFilesRunOut": Course(
        {f"process_open_fds{{{SWITCH}}}": "90x90", f"process_max_fds{{{SWITCH}}}": "100x90"},
        {f"process_open_fds{{{SWITCH}}}": "70x90", f"process_max_fds{{{SWITCH}}}": "100x90"},
    ),
    "VosdReloadFailed": one(f"vosd_reload_failed{{{SWITCH}}}", "1x90", "0x90"),
    "VosdCertificateEnds": one(
        f'vosd_certificate_end_timestamp_seconds{{file="switch.pem", {SWITCH}}}', "1209600x90", "1299600x90"
    ),
    "VosdDatabaseUnusable": Course(
        {f'vosd_database_state{{state="lease_lost", {SWITCH}}}': "1x90"},
        {f'vosd_database_state{{state="well", {SWITCH}}}': "1x90"},
    ),
    "VosdDatabaseAway": one(f'vosd_database_state{{state="away", {SWITCH}}}', "1x90", "0x90"),
    "VosdDatabaseSlow": late("vosd_database_lease_seconds", "1.0", "2.0"),
    "VosdBookingBehind": one(f"vosd_journal_oldest_unbooked_seconds{{{SWITCH}}}", "400x90", "3x90"),
    "VosdCallsInQuarantine": one(f"vosd_quarantined_calls{{{SWITCH}}}", "1x90", "0x90"),
    "VosdJournalNotWritten": one(f"vosd_journal_short{{{SWITCH}}}", "1x90", "0x90"),
    "VosdRegistrationsUnwritten": one(f"vosd_registrations_unwritten{{{SWITCH}}}", "3x90", "0x90"),
    "VosdGatewayDown": one(f"vosd_gateway_up{{{ROUTING}}}", "0x90", "1x90"),
    "VosdAnswersFew": Course(
        {f'{ATTEMPTS}, outcome="answered"}}': "0+30x90", f'{ATTEMPTS}, outcome="other"}}': "0+70x90"},
        {f'{ATTEMPTS}, outcome="answered"}}': "0+1x90", f'{ATTEMPTS}, outcome="other"}}': "0+2x90"},
    ),
    "VosdCustomerCallsFail": Course(
        {f'{OF_CUSTOMER}, outcome="answered"}}': "0+1x90", f'{OF_CUSTOMER}, outcome="other"}}': "0+29x90"},
        {
            f'{OF_CUSTOMER}, outcome="answered"}}': "0+3x90",
            f'{OF_CUSTOMER}, outcome="other"}}': "0+27x90",
            f'{OF_CUSTOMER}, outcome="barred"}}': "0+270x90",
        },
    ),
    "VosdPostDialDelayLong": Course(
        {
            f"vosd_gateway_post_dial_delay_seconds_sum{{{ROUTING}}}": "0+400x90",
            f"vosd_gateway_post_dial_delay_seconds_count{{{ROUTING}}}": "0+100x90",
        },
        {
            f"vosd_gateway_post_dial_delay_seconds_sum{{{ROUTING}}}": "0+200x90",
            f"vosd_gateway_post_dial_delay_seconds_count{{{ROUTING}}}": "0+100x90",
        },
    ),
    "VosdCallsNotCarried": Course(
        {
            f'vosd_calls_ended_total{{reason="Normal", {SWITCH}}}': "0+60x90",
            f'vosd_calls_ended_total{{reason="No Available Route", {SWITCH}}}': "0+40x90",
        },
        {
            f'vosd_calls_ended_total{{reason="Normal", {SWITCH}}}': "0+60x90",
            f'vosd_calls_ended_total{{reason="Busy", {SWITCH}}}': "0+40x90",
        },
    ),
    "VosdCallsSurge": Course(
        {ENDED: "0+60x140 8460+400x20", f"process_start_time_seconds{{{SWITCH}}}": "0x170"},
        {ENDED: "0+60x140 8460+90x20", f"process_start_time_seconds{{{SWITCH}}}": "0x170"},
        minutes=155,
    ),
    "VosdSessionRefreshesFail": one(f'vosd_session_refresh_failures_total{{gateway="a", {SWITCH}}}', "0+1x90", "3x90"),
    "VosdByesUnanswered": one(f"vosd_byes_unanswered_total{{{SWITCH}}}", "0+1x90", "3x90"),
    "VosdPasswordsGuessed": one(f"vosd_authentication_failures_total{{{SWITCH}}}", "0+120x90", "0+6x90"),
    "VosdRetransmits": one(f'vosd_retransmissions_total{{direction="sent", {SWITCH}}}', "0+600x90", "0+6x90"),
    "VosdKeepaliveSweepLong": one(f"vosd_keepalive_sweep_seconds{{{SWITCH}}}", "45x90", "3x90"),
}


def test_every_alert_is_tried_says_what_to_do_and_how_urgent_it_is():
    assert COURSES.keys() == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert min(len(rule["annotations"][key].split()) for key in ("summary", "description")) > 2


@pytest.mark.prometheus
def test_every_alert_is_raised_by_its_cause_and_by_nothing_else(tmp_path):
    """Each rule is evaluated alone, in a file of its own: all of them for every course take ten times as long."""
    files = []
    for rule in rules():
        alert, course = rule["alert"], COURSES[rule["alert"]]
        alone = tmp_path / f"{alert}.rules.yaml"
        alone.write_text(yaml.safe_dump({"groups": [{"name": "alone", "rules": [rule]}]}))
        tests = []
        for series, count in ((course.raised, 1), (course.quiet, 0)):
            firing = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
            sample = {"labels": "{}", "value": count}
            tests.append(
                {
                    "name": f"{alert} {'raised' if count else 'quiet'}",
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in series.items()],
                    "promql_expr_test": [{"expr": firing, "eval_time": f"{course.minutes}m", "exp_samples": [sample]}],
                }
            )
        files.append(tmp_path / f"{alert}.yaml")
        files[-1].write_text(yaml.safe_dump({"rule_files": [alone.name], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", *map(str, files)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(COURSES)
