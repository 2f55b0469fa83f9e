"""What ships beside the code: the manual is current, the examples load."""

import re
import sys
from itertools import chain
from pathlib import Path

import pytest
from manuals.configuration import reference

from vosd.base.session_timer import Probe
from vosd.cli.main import main
from vosd.config.load import load

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "config" / "examples"
ENVIRONMENT = {
    f"{name}_PASSWORD": f"grey7stone4-{name.lower()}" for name in ("VOSD_DB", "DESK", "HOME", "PBX", "TRUNK")
}


def test_the_manual_is_what_the_models_say():
    manual = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert manual == reference(), "run: python tests/manuals/configuration.py > docs/configuration.md"


def test_every_key_of_the_manual_has_a_meaning():
    """Those of lists and presets have tables without such a column."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| +\|$", reference(), re.MULTILINE)

    assert rows == []


def test_no_paragraph_of_the_manual_is_indented():
    """Markdown shows a paragraph with four blanks in front of it as code."""
    text = re.sub(r"^```.*?^```", "", reference(), flags=re.MULTILINE | re.DOTALL)

    assert [line for line in text.splitlines() if line.startswith("    ")] == []


@pytest.mark.parametrize(
    "path", [ROOT / "config" / "vosd.yaml", *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda at: at.name
)
def test_an_example_loads_without_a_warning(path):
    loaded = load(path, ENVIRONMENT)

    assert loaded.problems == ()
    assert [*chain.from_iterable(loaded.reports_by_group())] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda at: at.name)
def test_the_command_that_an_example_gives_finds_nothing_wrong_with_it(path, monkeypatch, capsys):
    (command,) = re.findall(
        r"^# +(?:Try it with: +)?((?:[A-Z_]+=\w+ )+vosd .* check)$", path.read_text("utf-8"), re.MULTILINE
    )
    words = command.split()
    program = words.index("vosd")
    for variable in words[:program]:
        monkeypatch.setenv(*variable.split("="))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", words[program:])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code in {None, 0}
    assert capsys.readouterr().err == ""


def test_the_first_example_routes_a_call_of_its_customer(tmp_path):
    """The file travels alone into packages and to /etc, so it must not need its neighbours."""
    copy = tmp_path / "vosd.yaml"
    copy.write_text((ROOT / "config" / "vosd.yaml").read_text(encoding="utf-8"), encoding="utf-8")

    catalogue = load(copy, {}).catalogue

    caller = catalogue.sources.identify("127.0.0.1", 5061, lambda _: "442079460000")
    assert caller.gateway.name == "acme-pbx"
    assert [candidate.gateway.name for candidate in catalogue.routes.candidates(caller.callee)] == [
        "carrier-a",
        "carrier-b",
    ]
    assert catalogue.rate_groups["acme-sell"].find(caller.callee, 0).rate.prefix == "4420"


def test_the_wholesale_example_tells_customers_apart_by_tech_prefix():
    catalogue = load(EXAMPLES / "wholesale.yaml", ENVIRONMENT).catalogue

    caller = catalogue.sources.identify("198.51.100.7", 5060, lambda _: "7002442079460000")
    assert (caller.gateway.name, caller.callee) == ("globex-standard", "442079460000")
    assert catalogue.routing_gateways["initech"].max_concurrent == 200


def test_the_example_of_phones_shows_registrations_in_both_directions():
    catalogue = load(EXAMPLES / "phones.yaml", ENVIRONMENT).catalogue

    assert sorted(catalogue.users) == ["7001", "branch-pbx", "home-7002"]
    assert catalogue.phones["7002"].gateway.dialect.session_timer.ttl_s == 300
    assert catalogue.phones["7001"].gateway.dialect.session_timer.ttl_s == 900
    pbx, carrier = catalogue.mapping_gateways["branch-pbx"], catalogue.routing_gateways["carrier"]
    assert (pbx.hosts, pbx.dialect.session_timer.probe) == ((), Probe.OPTIONS)
    assert carrier.login == carrier.registration.login
    assert (carrier.registration.domain, carrier.ping.interval_ms) == ("carrier.example", 30_000)
