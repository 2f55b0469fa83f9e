"""What calls report of their states, to a real HTTP server."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.report_server import ReportServer
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene
from doubles.virtual.vendor import ANSWER, Line, Script, answers, refuses

from vosd.base.secret import Secret
from vosd.cdr.columns import json_object
from vosd.control.call_states import CallStateReport
from vosd.engine.reports.reporter import CallReports
from vosd.engine.settings import CallReportSettings, CallReportState
from vosd.trunks.dids import Did
from vosd.trunks.ringing import RingOrder

SECRET = "not a secret"
MONEY = ("fee", "tax", "cost", "cost_tax")


async def taken(server: ReportServer, count: int) -> list[dict[str, Any]]:
    return await asyncio.to_thread(server.wait_for, count)


def call_and_wait(scene: Scene, callee: str = CALLEE, intent: Intent | None = None) -> None:
    scene.whole_call(intent or Intent(hang_up_after_ms=5_000), callee=callee)
    scene.wire.run_for(100)


async def reported(scene: Scene, directory: Path, count: int, play: Callable[[], None], **settings: Any) -> Any:
    """Play calls while they are reported; return the reports."""
    with ReportServer(secret=SECRET.encode()) as server:
        made = CallReports(
            "sw1",
            scene.exchange.clock,
            CallReportSettings(server.url, Secret(SECRET), **settings),
            directory,
            scene.exchange.switch.report_calls,
        )
        await made.begin()
        play()
        found = await taken(server, count)
        await made.end()
        assert server.faults == []
        return found


async def test_a_call_reports_each_of_its_states_with_the_values_of_its_record(tmp_path):
    scene = Scene()
    scene.vendor.script = answers(1_000)
    trying, ringing, answered, ended = await reported(scene, tmp_path, 4, lambda: call_and_wait(scene))
    record = json_object(scene.record, None)
    assert [each["state"] for each in (trying, ringing, answered, ended)] == [state.value for state in CallReportState]
    keys = CallStateReport.__struct_fields__
    assert [tuple(each) for each in (trying, ringing, answered, ended)] == [keys] * 4
    own = {"id", "seq", "state", "at", "price_per_minute", "rings_beside"}
    assert {name: ended[name] for name in keys if name not in own} == {
        name: record[name] for name in keys if name not in own
    }
    assert all(isinstance(ended[name], str) for name in MONEY)
    assert trying["at"] == record["started_at"]
    assert ringing["at"] == ringing["ringing_at"] == record["ringing_at"]
    assert answered["at"] == answered["answered_at"] == record["answered_at"]
    assert ended["at"] == record["ended_at"]
    assert [each["sip_code"] for each in (trying, ringing, answered)] == [None, None, 200]
    early = ("call_id", "mapping_gateway", "routing_gateway", "customer_account", "caller_in", "started_at")
    for each in (trying, ringing, answered):
        assert {name: each[name] for name in early} == {name: record[name] for name in early}
        assert (each["price_per_minute"] is not None) is (each is answered), "the price of a running call"
        assert [each[name] for name in (*MONEY, "ended_at", "end_reason", "hold_time_ms")] == [None] * 7
    assert [each["id"] for each in (trying, ringing, answered, ended)] == [
        f"{record['call_id']}-{each['seq']}" for each in (trying, ringing, answered, ended)
    ]
    scene.close()


async def test_the_manual_has_the_document_of_each_state(tmp_path):
    page = (Path(__file__).parents[3] / "docs/operations/exports.md").read_text()
    section = page.partition("\n## States of calls for other programs\n")[2].partition("\n## ")[0]
    block = section.partition("```json\n")[2].partition("```")[0]
    scene = Scene()
    scene.vendor.script = answers(1_000)
    found = await reported(scene, tmp_path, 4, lambda: call_and_wait(scene))
    shown = [{name: value for name, value in each.items() if value is not None} for each in found]
    examples = [json.loads(each) for each in block.split("\n\n")]
    own = [each["sip_call_id_in"] for each in shown]  # numbered over all tests of a process
    assert [{**each, "sip_call_id_in": name} for each, name in zip(examples, own, strict=True)] == shown
    # Every key that is ever there is shown.
    assert {name for each in shown for name in each} | {"reason_text", "rings_beside"} == set(
        CallStateReport.__struct_fields__
    )


async def test_numbers_grow_over_the_attempts_of_a_call(tmp_path):
    scene = Scene()
    scene.vendors[0].script, scene.vendors[1].script = refuses(503), answers(1_000)
    found = await reported(scene, tmp_path, 5, lambda: call_and_wait(scene))
    assert [(each["state"], each["routing_gateway"]) for each in found] == [
        ("trying", "vendor-0"), ("trying", "vendor-1"), ("ringing", "vendor-1"), ("answered", "vendor-1"),
        ("ended", "vendor-1"),
    ]  # fmt: skip
    numbers = [each["seq"] for each in found]
    assert numbers == sorted(set(numbers))


async def test_of_phones_that_ring_together_the_first_that_rings_is_reported(tmp_path):
    phones = {"7001": answers(3_000), "7002": Script((Line(1_000, 180), Line(2_000, 200, ANSWER)))}
    did = Did("4420946000", "acme", phones=tuple(phones), ring=RingOrder.TOGETHER)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    scene = Scene(catalogue([trunk], phones=[phone(name) for name in phones], dids=[did]))
    for port, (name, script) in enumerate(phones.items(), 5_070):
        scene.exchange.telephone(name, Endpoint("203.0.113.66", port), script=script).register()
    found = await reported(scene, tmp_path, 5, lambda: call_and_wait(scene, did.number))
    assert [(each["state"], each["routing_gateway"]) for each in found] == [
        ("trying", "7001"), ("trying", "7002"), ("ringing", "7001"), ("answered", "7002"), ("ended", "7002"),
    ]  # fmt: skip
    assert found[2]["ringing_at"] == found[2]["at"]


async def test_a_caller_that_gives_up_while_it_rings_and_a_refused_call_have_ended(tmp_path):
    scene = Scene()
    scene.vendor.script = answers(60_000)

    def play() -> None:
        call = scene.begun_call(after_ms=2_000)
        call.cancel()
        scene.wire.run_until(lambda: call.is_over)
        call_and_wait(scene, "99123")

    found = await reported(scene, tmp_path, 4, play)
    found.sort(key=lambda each: each["call_id"])
    assert [each["state"] for each in found] == ["trying", "ringing", "ended", "ended"]
    numbers = [each["seq"] for each in found[:3]]
    assert numbers == sorted(set(numbers))
    assert (found[2]["sip_code"], found[2]["answered_at"], found[2]["fee"]) == (487, None, "0.00")
    assert (found[3]["end_reason"], found[3]["routing_gateway"]) == ("No Matching Rate", None)


async def test_only_the_wanted_states_are_reported(tmp_path):
    scene = Scene()
    states = (CallReportState.ANSWERED, CallReportState.ENDED)
    found = await reported(scene, tmp_path, 2, lambda: call_and_wait(scene), states=states)
    assert [each["state"] for each in found] == ["answered", "ended"]
