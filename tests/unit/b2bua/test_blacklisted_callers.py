"""The dynamic blacklist within whole calls: whose calls count, and that every call that ends is released once."""

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import answers, refuses
from structlog.testing import capture_logs

from vosd.admin.routing import explain_route
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.gateways import CallerLimits
from vosd.trunks.number_rules import IncomingNumbers

STRICT = CallerLimits(frequency_limit=2)


def scene_of(limits=STRICT, **terms):
    return Scene(usual_catalogue(vendors=1, dynamic_blacklist=limits, **terms))


def dial(scene, callee=CALLEE, **intent):
    return scene.whole_call(Intent(hang_up_after_ms=1_000, **intent), callee=callee)


def lists(scene):
    return scene.exchange.switch.live.dynamic_lists


def test_a_listed_caller_gets_403_and_the_record_and_the_log_say_why():
    scene = scene_of()
    with capture_logs() as logs:
        statuses = [dial(scene).final for _ in range(4)]
    assert statuses == [200, 200, 403, 403]
    assert {record.end_reason for record in scene.exchange.sink.records[2:]} == {"Number Not Allowed"}
    assert {record.q850_cause for record in scene.exchange.sink.records[2:]} == {21}
    (event,) = [each for each in logs if each["event"] == "caller_blacklisted"]
    assert (event["caller"], event["gateway"], event["cause"], event["limit"]) == (
        "12025550100",
        "acme",
        "frequency",
        2,
    )
    detail = "caller in dynamic blacklist: 12025550100 of acme, frequency above 2"
    assert [each["detail"] for each in logs if each["event"] == "call_refused"] == [detail, detail]


def test_calls_to_emergency_numbers_are_neither_counted_nor_refused():
    scene = scene_of(special_numbers=SpecialNumbers(emergency=frozenset({CALLEE})))
    assert [dial(scene).final for _ in range(4)] == [200] * 4
    assert lists(scene).calls.size == 0


@pytest.mark.parametrize(
    ("customer", "prefix"),
    [
        ({"numbers": IncomingNumbers(callee_rewrite=((f"9{CALLEE}", CALLEE),))}, "44"),
        ({"billing_strip_digits": 1}, "9"),
    ],
    ids=["callee_rewrite", "routing prefix"],
)
def test_a_call_is_one_to_an_emergency_number_by_the_number_that_rules_make(customer, prefix):
    numbers = SpecialNumbers(emergency=frozenset({CALLEE}))
    scene = scene_of(special_numbers=numbers, customer=customer, terms={"prefixes": (prefix,)})
    assert [dial(scene, callee=f"9{CALLEE}").final for _ in range(4)] == [200] * 4
    assert lists(scene).calls.size == 0


def test_other_callers_of_the_customer_go_on():
    scene = scene_of()
    assert [dial(scene).final for _ in range(3)] == [200, 200, 403]
    assert dial(scene, caller="12025550199").final == 200


@pytest.mark.parametrize("caller", ["anonymous", "Anonymous"])
def test_callers_without_a_number_are_not_counted_together(caller):
    scene = scene_of()
    assert [dial(scene, caller=caller).final for _ in range(4)] == [200] * 4
    assert lists(scene).calls.size == 0


def test_a_leading_plus_makes_no_other_caller():
    scene = scene_of()
    assert [dial(scene, caller=each).final for each in ("12025550100", "+12025550100", "12025550100")] == [
        200,
        200,
        403,
    ]


def test_a_gateway_with_limits_of_its_own_does_not_use_those_of_the_installation():
    scene = scene_of(customer={"dynamic_blacklist": CallerLimits(frequency_limit=3)})
    assert [dial(scene).final for _ in range(4)] == [200, 200, 200, 403]
    scene = scene_of(customer={"dynamic_blacklist": CallerLimits(enabled=False)})
    assert [dial(scene).final for _ in range(4)] == [200] * 4


def test_the_number_before_its_rewriting_counts():
    scene = scene_of(customer={"numbers": IncomingNumbers(caller_rewrite=(("1202555", "49"),))})
    assert [dial(scene).final for _ in range(3)] == [200, 200, 403]
    assert {record.caller_out for record in scene.exchange.sink.records[:2]} == {"490100"}
    assert [each.caller for each in lists(scene).listed(0)] == ["12025550100"]


def test_a_caller_that_a_list_refuses_does_not_come_onto_the_blacklist():
    scene = scene_of(customer={"numbers": IncomingNumbers(caller_deny=("1202*",))})
    assert [dial(scene).final for _ in range(5)] == [403] * 5
    assert (lists(scene).size, lists(scene).calls.size, lists(scene).total()) == (0, 0, 0)


def test_calls_that_the_switch_refuses_itself_do_not_count():
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, enabled=False)],
        accounts=[account("acme")], dynamic_blacklist=CallerLimits(frequency_limit=2, no_answer_limit=2),
    )  # fmt: skip
    scene = Scene(content)
    assert [dial(scene).final for _ in range(5)] == [503] * 5
    assert (lists(scene).calls.size, lists(scene).unanswered.size, lists(scene).total()) == (0, 0, 0)


@pytest.mark.parametrize("end", ["busy", "cancelled"])
def test_calls_without_answer_count_however_they_end(end):
    scene = scene_of(CallerLimits(no_answer_limit=2))
    scene.vendor.script = refuses(486) if end == "busy" else answers(60_000)
    cancel = {} if end == "busy" else {"cancel_after_ms": 500}
    finals = [dial(scene, **cancel).final for _ in range(3)]
    assert finals == [486 if end == "busy" else 487] * 2 + [403]
    assert lists(scene).total() == 0


def test_answered_calls_are_no_attack_without_answers():
    scene = scene_of(CallerLimits(no_answer_limit=1))
    assert [dial(scene).final for _ in range(4)] == [200] * 4


def test_concurrent_calls_are_those_that_go_on():
    scene = scene_of(CallerLimits(concurrent_limit=1, expire_s=10))
    first, _ = scene.talk()
    assert dial(scene).final == 403
    scene.hang_up(first)
    scene.wire.run_for(10_000)
    assert dial(scene).final == 200
    assert scene.exchange.leftovers() == {}


def test_a_reload_keeps_the_list_of_gateways_that_stay():
    scene = scene_of()
    assert [dial(scene).final for _ in range(3)] == [200, 200, 403]
    scene.exchange.swap_catalogue(usual_catalogue(vendors=1, dynamic_blacklist=CallerLimits(frequency_limit=9)))
    assert dial(scene).final == 403
    scene.exchange.swap_catalogue(catalogue([]))
    assert lists(scene).size == 0


def test_a_call_is_counted_on_when_another_switch_takes_it_over():
    scene = scene_of(CallerLimits(concurrent_limit=2, no_answer_limit=5))
    call = scene.begun_call(Intent(cancel_after_ms=5_000), script=answers(60_000), after_ms=1_000)
    replace_node(scene)
    assert lists(scene).active("acme", "12025550100") == 1
    scene.wire.run_until(lambda: call.is_over)
    assert lists(scene).unanswered.size == 1
    assert scene.exchange.leftovers() == {}


def test_an_explanation_says_so_and_counts_nothing():
    scene = scene_of()
    dial(scene)
    content, live, at = scene.exchange.switch.catalogue, scene.exchange.switch.live, scene.exchange.clock.now()

    def explained():
        return explain_route(content, live, gateway="acme", caller="12025550100", callee=CALLEE, at=at)

    assert [explained().result for _ in range(3)] == ["ok"] * 3
    assert [dial(scene).final for _ in range(2)] == [200, 403]
    refused = explained()
    assert (refused.result, refused.detail) == (
        "Number Not Allowed",
        "caller in dynamic blacklist: 12025550100 of acme, frequency above 2",
    )
    assert lists(scene).total() == 0
