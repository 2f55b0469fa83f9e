"""The scenarios themselves: whole, used, and able to fail."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from doubles.sockets.loopback import Endpoint
from doubles.sockets.sipp import Sipp, SippError, write_scenario

from .addresses import CUSTOMERS, SWITCH, VENDORS
from .stage import SCENARIOS

FRAGMENTS = SCENARIOS / "fragments"
VALUES = {
    "switch": str(SWITCH),
    "gateway": str(VENDORS["carrier-a"]),
    "callee": "441",
    "callee_out": "441",
    "caller": "12025550100",
    "talk_ms": "1",
    "ring_ms": "1",
    "media": "192.0.2.20",
    "transport": "UDP",
    "hops": "69",
    "target": "442",
    "status": "486",
    "username": "1001",
    "password": "secret",
    "challenge": "401",
    "header": "X-Vendor: vendor-specific",
    "customer_header": "X-Customer: customer-specific",
    "cause": "17",
    "reason": "Busy",
    "code": "407",
    "authenticate": "Proxy-Authenticate",
    "authorization": "Proxy-Authorization",
    "verify": "",
    "expires": "600;refresher=uac",
    "capture": "sound.pcap",
}
VENDOR = Endpoint(VENDORS["carrier-a"].host, 15_095)
CALLER = Endpoint(CUSTOMERS["acme"], 15_096)
MET_AGAIN = "Regexp matched but should not"
"""What SIPp says of something that came through. It ends with the same status where it cannot read a scenario."""


def scenarios() -> list[Path]:
    return sorted([*(SCENARIOS / "caller").glob("*.xml"), *(SCENARIOS / "vendor").glob("*.xml")])


@pytest.mark.parametrize("source", scenarios(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_scenario_is_whole_once_its_parts_are_in_place(source: Path, tmp_path: Path) -> None:
    text = write_scenario(source, FRAGMENTS, VALUES, tmp_path / "whole.xml").read_text()

    assert ElementTree.fromstring(text).get("name")
    assert "<?use" not in text


def test_every_fragment_is_used() -> None:
    texts = [path.read_text() for path in SCENARIOS.rglob("*.xml")]
    used = {name for text in texts for name in re.findall(r"<\?use (\w+)", text)}

    assert {path.stem for path in FRAGMENTS.iterdir()} == used


def test_every_scenario_is_played() -> None:
    played = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))

    assert [path.stem for path in scenarios() if f'"{path.stem}"' not in played] == []


@pytest.mark.sipp
@pytest.mark.parametrize(
    ("caller", "vendor"), [("hangs_up", "answers"), ("is_refused", "refuses"), ("is_hung_up_on", "hangs_up")]
)
def test_the_assertions_fail_where_no_switch_keeps_the_sides_apart(tmp_path: Path, caller: str, vendor: str) -> None:
    called = write_scenario(SCENARIOS / "vendor" / f"{vendor}.xml", FRAGMENTS, VALUES, tmp_path / "vendor.xml")
    calling = write_scenario(SCENARIOS / "caller" / f"{caller}.xml", FRAGMENTS, VALUES, tmp_path / "caller.xml")
    with (
        Sipp(called, VENDOR, scratch=tmp_path, timeout_s=5) as callee,
        Sipp(calling, CALLER, VENDOR, scratch=tmp_path, timeout_s=5),
        pytest.raises(SippError, match=MET_AGAIN),
    ):
        callee.wait()
