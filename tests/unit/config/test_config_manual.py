"""What ships beside the code: the manual is current, the examples load."""

from pathlib import Path

import pytest

from vosd.config.load import load
from vosd.config.reference import reference

ROOT = Path(__file__).parents[3]


def test_the_manual_is_what_the_models_say():
    manual = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert manual == reference(), "run: python -m vosd.config.reference > docs/configuration.md"


@pytest.mark.parametrize("name", ["vosd.yaml", "examples/wholesale.yaml"])
def test_an_example_loads_without_a_warning(name):
    loaded = load(ROOT / "config" / name, {"VOSD_DB_PASSWORD": "secret"})

    assert loaded.problems == ()
    assert loaded.rate_report == ()


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
    assert catalogue.rate_groups["acme-sell"].find(caller.callee).rate.prefix == "4420"


def test_the_wholesale_example_tells_customers_apart_by_tech_prefix():
    catalogue = load(ROOT / "config" / "examples" / "wholesale.yaml", {"VOSD_DB_PASSWORD": "secret"}).catalogue

    caller = catalogue.sources.identify("198.51.100.7", 5060, lambda _: "7002442079460000")
    assert (caller.gateway.name, caller.callee) == ("globex-standard", "442079460000")
    assert catalogue.routing_gateways["initech"].max_concurrent == 200
