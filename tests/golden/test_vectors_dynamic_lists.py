"""The worked examples of the dynamic blacklist in tests/vectors/routing.json, as calls through a whole switch."""

from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, Scene, usual_catalogue
from doubles.virtual.vendor import answers, refuses

from golden.worked import of
from vosd.routing.dynamic_lists import ListingCause
from vosd.trunks.gateways import CallerLimits

LIMITS = ("concurrent_limit", "frequency_limit", "no_answer_limit", "window_s", "expire_s")


@of("dyn_blacklist")
def test_callers_are_listed_for_what_they_do_and_let_in_again(given, expect):
    limits = CallerLimits(**{name: given[name] for name in LIMITS})
    scene = Scene(usual_catalogue(vendors=1, dynamic_blacklist=limits))
    scene.wire.delays = lambda _packet: (0,)  # all of an exchange happens at the instant that the vector names
    began, calls, causes = scene.exchange.clock.now().mono, [], []
    scene.exchange.switch.live.dynamic_lists.on_listed = lambda listing: causes.append(listing.cause)
    for each in given["calls"]:
        scene.wire.run_for(began + 1_000 * each["t"] - scene.exchange.clock.now().mono)
        scene.vendor.script = answers(0) if each["answered"] else refuses(486)
        calls.append(scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000 * each["dur"])))
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    records = {record.sip_call_id_in: record for record in scene.exchange.sink.records}
    refused = [records[call.call_id].end_reason == "Number Not Allowed" for call in calls]
    assert [not each for each in refused] == expect["accepted"]
    assert {call.final for call, was in zip(calls, refused, strict=True) if was} == {403}
    assert causes[:1] == [ListingCause(expect["reason"])]
    assert len(causes) == 1
    assert scene.exchange.leftovers() == {}
