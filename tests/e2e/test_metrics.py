"""Metrics and health of the daemon over HTTP, as Prometheus and a load balancer see them (ADR 69)."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from doubles.api import Api
from doubles.daemon import Daemon
from prometheus_client.parser import text_string_to_metric_families

from .addresses import MEASURED_SWITCH, MEASURED_SWITCH_HTTP, MEASURING, NETWORK
from .conditions import eventually
from .conversation import conversing
from .stage import Stage, configuration

METRICS = f"metrics: {{listen: '{MEASURED_SWITCH_HTTP}'}}\n"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def ask(path: str, method: str = "GET", source: str = "127.0.0.1") -> tuple[int, str]:
    """Return status and text of a page; 0 = there is no answer."""
    connection = HTTPConnection(*MEASURED_SWITCH_HTTP, timeout=20, source_address=(source, 0))
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def scraped() -> Samples:
    """Return all figures; a reading may be a second old."""
    status, text = ask("/metrics")
    assert status == 200, text
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def becomes(wanted: float, name: str, **labels: str) -> None:
    eventually(lambda: value(scraped(), name, **labels) == wanted, f"{name}{labels} = {wanted}")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    text = configuration("switch.yaml", MEASURED_SWITCH) + METRICS
    with Daemon(tmp_path_factory.mktemp("measured"), text) as daemon:
        stage = Stage(daemon, MEASURED_SWITCH)
        stage.pay("acme", "100")
        eventually(lambda: ask("/healthz")[0] == 200, "an answer of the exporter")
        yield stage
        assert daemon.interrupt() == 0
        assert ask("/healthz")[0] == 0, "the exporter still runs"


def test_answers_of_the_management_api_are_counted_by_the_class_of_their_status(measured: Stage) -> None:
    with Api(measured.daemon.configuration_file) as api:
        assert api.ask("GET", "/status", token=None).status == 401
        becomes(1, "vosd_api_answers_total", code="4xx")
    assert value(scraped(), "vosd_api_answers_total", code="5xx") == 0


def test_a_call_is_seen_while_it_lasts_and_counted_when_it_has_ended(measured: Stage) -> None:
    assert ask("/healthz") == (200, "healthy\n")
    assert ask("/readyz") == (200, "ready\n")
    carrier, customer = {"gateway": "carrier-a", "kind": "routing"}, {"gateway": "acme-pbx", "kind": "mapping"}
    with conversing(measured, "4410") as (conversation,):
        conversation.establish()
        becomes(1, "vosd_calls", state="talking")
        during = scraped()
        assert value(during, "vosd_gateway_calls", **carrier) == value(during, "vosd_gateway_calls", **customer) == 1
        assert value(during, "vosd_call_legs") == 2
        assert value(during, "vosd_call_holds") == 1
        conversation.hang_up()
    becomes(1, "vosd_calls_ended_total", reason="Normal")
    becomes(0, "vosd_journal_unbooked_calls")
    becomes(1, "vosd_database_booking_seconds_count")
    becomes(0, "vosd_dialogs")
    after = scraped()
    for each in (carrier, customer):
        assert value(after, "vosd_gateway_attempts_total", outcome="answered", **each) == 1
        assert value(after, "vosd_gateway_call_duration_seconds_count", **each) == 1
    assert value(after, "vosd_gateway_asr_ratio", **carrier) == 1
    assert value(after, "vosd_attempts_total", code="200") == 1
    assert value(after, "vosd_call_setup_seconds_count") == 1
    assert value(after, "vosd_database_state", state="well") == 1
    assert value(after, "vosd_database_lease_seconds_count") > 0
    assert value(after, "vosd_event_loop_lag_seconds_count") > 0
    for process in ("process", "vosd_bookkeeper_process", "vosd_exporter_process"):
        assert value(after, f"{process}_resident_memory_bytes") > 1_000_000
    status = measured.status()
    assert value(after, "vosd_build_info", version=status["version"], node=status["node"]) == 1
    assert value(after, "vosd_catalogue_info", version=status["catalogue"]["version"]) == 1


def test_only_get_of_a_known_page_by_an_allowed_client_is_answered(measured: Stage) -> None:
    assert ask("/")[0] == 404
    assert ask("/metrics", "POST")[0] == ask("/metrics", "HEAD")[0] == 405
    narrower = METRICS.replace("}", ", allow: [192.0.2.0/24]}")
    measured.daemon.configure(configuration("switch.yaml", MEASURED_SWITCH) + narrower)
    measured.daemon.succeed("reload")
    eventually(lambda: ask("/metrics") == (403, "403 Forbidden: 127.0.0.1 is not in metrics.allow\n"), "403")
    measured.daemon.configure(configuration("switch.yaml", MEASURED_SWITCH) + METRICS)
    measured.daemon.succeed("reload")
    eventually(lambda: ask("/metrics", source=f"{NETWORK}.7")[0] == 200, "200")


def test_clients_that_send_nothing_or_too_much_are_no_harm_to_others(measured: Stage) -> None:
    with ExitStack() as silent:
        for _ in range(8):
            silent.enter_context(socket.create_connection(MEASURED_SWITCH_HTTP)).sendall(b"GET /metrics HTTP/1.1\r\n")
        talkative = silent.enter_context(socket.create_connection(MEASURED_SWITCH_HTTP))
        talkative.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9_000)
        assert talkative.makefile("rb").readline().startswith(b"HTTP/1.1 431 ")
        assert ask("/readyz") == (200, "ready\n")


def test_a_switch_whose_event_loop_hangs_is_not_healthy(measured: Stage) -> None:
    measured.daemon.signal(signal.SIGSTOP)
    try:
        status, text = ask("/healthz")
        assert status == 503
        assert text.startswith(f"the switch (process {measured.daemon.pid}) has not answered for 2 s")
    finally:
        measured.daemon.signal(signal.SIGCONT)
    eventually(lambda: ask("/healthz") == (200, "healthy\n"), "a healthy switch")


@pytest.mark.prometheus
def test_every_panel_of_the_dashboards_shows_something_in_a_real_prometheus(measured: Stage, tmp_path: Path) -> None:
    with conversing(measured, "4410") as (conversation,):
        conversation.establish()
        conversation.hang_up()
    becomes(0, "vosd_journal_unbooked_calls")
    with Prometheus(tmp_path) as prometheus:
        prometheus.has("vosd_ready")
        assert prometheus.alerts_that_fire() == []
        for path in sorted(CONFIG.glob("grafana/*.json")):
            for panel in json.loads(path.read_text())["panels"]:
                if panel["title"] not in EMPTY:
                    for target in panel.get("targets", ()):
                        prometheus.has(filled_in(target["expr"]))


EMPTY = {
    "Alarms": "there is none",
    "Dropped or refused messages": "none was",
    "Session refreshes that failed": "none was",
    "Share of the limit in use": "the gateways of that kind have no limit",
}
"""Panels that may be empty here, and why."""
CONFIG = Path(__file__).resolve().parents[2] / "config"


def filled_in(expression: str) -> str:
    for variable, stands in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$gateway", ".*"), ("$kind", "routing")):
        expression = expression.replace(variable, stands)
    return expression


class Prometheus:
    """The server of Prometheus with the alert rules, which asks the switch several times a second."""

    def __init__(self, directory: Path) -> None:
        target = {"job_name": "vosd", "static_configs": [{"targets": [str(MEASURED_SWITCH_HTTP)]}]}
        configuration = {
            "global": {"scrape_interval": "300ms", "scrape_timeout": "300ms", "evaluation_interval": "300ms"},
            "rule_files": [str(CONFIG / "prometheus" / "rules.yaml")],
            "scrape_configs": [{**target, "scrape_interval": "1s", "scrape_timeout": "1s"}],
        }
        file = directory / "prometheus.yml"
        file.write_text(json.dumps(configuration))
        self._address = str(MEASURING)
        self._log = directory / "prometheus.log"
        self._command = [
            "prometheus", f"--config.file={file}", f"--web.listen-address={self._address}",
            f"--storage.tsdb.path={directory}/data", "--log.level=warn",
        ]  # fmt: skip

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually(lambda: self.query("rate(vosd_dialogs[1m])"), self._log.read_text)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def query(self, expression: str) -> list[Any]:
        """Return the series that an expression has now; none while it does not answer."""
        try:
            return self._get(f"query?{urlencode({'query': expression})}")["result"]
        except (ConnectionError, URLError):
            return []

    def has(self, expression: str) -> None:
        """Wait until an expression has a series: a scrape that fails on a busy machine removes all until the next."""
        eventually(lambda: self.query(expression), f"a series of {expression}")

    def alerts_that_fire(self) -> list[str]:
        return [alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"]

    def _get(self, path: str) -> Any:
        with urlopen(f"http://{self._address}/api/v1/{path}", timeout=20) as answer:
            return json.load(answer)["data"]
