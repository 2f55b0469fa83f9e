"""What calls leave in the windows of quality: each attempt once, when it ends or is answered, and talk when it ends."""

from collections import Counter

from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.scene import Scene, usual_catalogue
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses

from vosd.routing.quality import QualityFigures

MUTE = {"response_timeout_ms": 2_000, "progress_timeout_ms": 3_000}


def figures(scene: Scene, vendor: int = 0) -> QualityFigures:
    return scene.exchange.switch.live.quality.figures(f"vendor-{vendor}", scene.exchange.clock.now().mono)


def call(scene: Scene, **intent):
    scene.whole_call(Intent(**intent))


def test_an_answered_call_counts_at_once_and_its_talk_at_its_end():
    scene = Scene()
    made, _ = scene.talk(script=answers(500))
    counted = figures(scene)
    assert (counted.attempts, counted.answered, counted.effective, counted.rang, counted.talks) == (1, 1, 1, 1, 0)
    record = scene.finish(made)
    counted = figures(scene)
    assert (counted.attempts, counted.talks, counted.talk_ms) == (1, 1, record.hold_time_ms)
    assert counted.pdd_ms == record.attempts[0].pdd_ms


def test_an_answer_that_waits_for_a_prack_counts_once():
    scene = Scene()
    made, _ = scene.talk(Intent(headers=SUPPORTS_100REL), Script((Line(0, 183, ANSWER), Line(0, 200, ANSWER))))
    scene.finish(made)
    assert (figures(scene).attempts, figures(scene).answered, figures(scene).talks) == (1, 1, 1)


def test_each_vendor_that_fails_a_call_and_the_one_that_takes_it_count():
    scene = Scene(usual_catalogue(vendors=3, terms=MUTE))
    scene.vendors[0].script, scene.vendors[1].script, scene.vendors[2].script = refuses(503), SILENT, answers(0)
    call(scene, hang_up_after_ms=10)
    assert [figures(scene, vendor)[:3] for vendor in range(3)] == [(1, 0, 0), (1, 0, 0), (1, 1, 1)]


def test_a_busy_user_and_one_who_lets_it_ring_are_no_fault_of_the_network():
    scene = Scene(usual_catalogue(vendors=1))
    scene.vendor.script = refuses(486)
    call(scene)
    scene.vendor.script = RINGS
    call(scene, cancel_after_ms=1_000)
    scene.vendor.script = refuses(404)
    call(scene)
    assert (figures(scene).asr, figures(scene).ner) == (0.0, 100 * 2 / 3)


def test_the_figures_equal_the_attempts_of_the_records():
    scene = Scene(usual_catalogue(vendors=3, terms=MUTE))
    scripts = (answers(0), refuses(500), refuses(486), answers(300), SILENT, RINGS)
    for turn in range(24):
        for place, vendor in enumerate(scene.vendors):
            vendor.script = scripts[(turn * (place + 1) + turn // 7) % len(scripts)]
        call(scene, hang_up_after_ms=50 * turn + 10, cancel_after_ms=5_000)
    attempts, answered = Counter(), Counter()
    for record in scene.exchange.sink.records:
        attempts.update(each.gateway for each in record.attempts)
        answered.update([record.routing_gateway] if record.answered_at is not None else [])
    assert sum(answered.values()) > 5
    for vendor in range(3):
        counted = figures(scene, vendor)
        assert (counted.attempts, counted.answered) == (attempts[f"vendor-{vendor}"], answered[f"vendor-{vendor}"])
        assert counted.talks == counted.answered
