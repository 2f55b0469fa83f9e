"""Plans of a call: who takes part, and what each side does when, for tests that carry each one out more than once."""

from functools import partial
from itertools import count
from typing import NamedTuple

from doubles.data.builders import catalogue, mapping_gateway
from doubles.keypad_scene import KEYS, TARGET
from doubles.sockets.peer import ANSWER
from doubles.virtual import customer, ua, vendor
from doubles.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, answers_reliably, answers_timed, refuses
from doubles.virtual.wire import Storm
from hypothesis import strategies as st

from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CalleeDialect, CallerDialect, Passing

LASTS_MS = 400_000

RAW = "J\udcfcrgen \xe9"
"""Text of a peer that is not UTF-8 throughout."""
SAYS_WHY = f'Reason: Q.850;cause=16;text="{RAW}"'

INTENTS = {
    "plain": Intent(),
    "late offer": Intent(offer=""),
    "knows all": Intent(headers=(*KNOWS_TIMER, *KNOWS_UPDATE)),
    "supports 100rel": Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)),
    "never acknowledges": Intent(acknowledges=False),
    "gives up": Intent(cancel_after_ms=700),
    "is no UTF-8": Intent(display=RAW, headers=(f"Subject: {RAW}",)),
    "gives up in no UTF-8": Intent(display=RAW, cancel_after_ms=5_000, cancel_headers=(SAYS_WHY,)),
}
SCRIPTS = {
    "answers": answers(),
    "answers late": answers(6_000),
    "knows timer": answers_timed("90;refresher=uac"),
    "refreshes itself": answers_timed("90;refresher=uas"),
    "knows no update": answers_timed("90;refresher=uac", knows_update=False),
    "early media": answers_reliably(),
    "fails": refuses(503, after_ms=300),
    "hangs up": answers(hang_up_after_ms=8_000),
    "wants a longer session": Script((Line(100, 422, "", ("Min-SE: 200",)),)),
    "early media, then busy": Script((Line(0, 183, ANSWER), Line(3_000, 486))),
    "fails in no UTF-8": Script((Line(100, 183, ANSWER, (SAYS_WHY,)), Line(3_000, 503, "", (SAYS_WHY,)))),
    "answers in no UTF-8": Script((Line(100, 180), Line(900, 200, ANSWER, (SAYS_WHY, f"Server: {RAW}")))),
    "rings": RINGS,
    "silent": SILENT,
}


class Plan(NamedTuple):
    """A call: who takes part, what each side does when, and what becomes of packets."""

    intent: str
    scripts: tuple[str, str]
    doings: tuple[tuple[int, str, str], ...]
    """Milliseconds from the INVITE, the side, and what it does."""
    seed: int | None = None
    """Of a network that loses, doubles and reorders packets; None = every packet arrives."""
    balance: str = "100"
    probe: Probe = Probe.NONE
    limit_s: int = 300
    transport: str = "udp"
    later: str = ""
    """Script of the first vendor for the targets of transfers."""
    charges_ringing: bool = False
    """Calls are charged from their INVITE on (SS_STARTBILLINGTIME 1)."""


def propose(side, method="INVITE", *attributes):
    if side.mine:
        side.propose(*attributes, method=method)


def press(side, keys):
    """Press keys, 300 ms apart, as long as the call lasts."""
    for number, key in enumerate(keys):
        side.wire.after(300 * number, partial(press_one, side, key))


def press_one(side, key):
    if not side.is_over:
        side.ask("INFO", body=f"Signal={key}\r\nDuration=160\r\n", kind="application/dtmf-relay")


def change_its_mind(side):
    propose(side)
    if side.asking:
        side.wire.after(5, side.asking[-1].cancel)


DOINGS = {
    "proposes": propose,
    "holds": lambda side: propose(side, "INVITE", "a=sendonly"),
    "updates": lambda side: propose(side, "UPDATE"),
    "asks for an offer": lambda side: side.ask("INVITE"),
    "refreshes": lambda side: side.ask("INVITE", body=side.mine),
    "presses a key": lambda side: side.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay"),
    "transfers by keys": lambda side: press(side, f"{KEYS.blind}{TARGET}#"),
    "consults by keys, with a pause": lambda side: press(side, f"{KEYS.attended}{TARGET}"),
    "cancels a transfer by keys": lambda side: press(side, KEYS.cancel),
    "completes a transfer by keys": lambda side: press(side, KEYS.end),
    "asks OPTIONS": lambda side: side.ask("OPTIONS"),
    "changes its mind": change_its_mind,
    "will be slow": lambda side: [
        side.will(method, Reply(200, None, 2_000)) for method in ("INVITE", "UPDATE", "INFO")
    ],
    "will be busy": lambda side: side.will("INVITE", Reply(491), Reply(491)),
    "will say nothing": lambda side: [side.will(method, SILENCE) for method in ("INVITE", "UPDATE", "INFO")],
    "is gone": lambda side: setattr(side, "gone", 481),
    "hangs up": lambda side: side.hang_up(),
    "hangs up in no UTF-8": lambda side: side.hang_up(SAYS_WHY),
}


KEYED = [*(each for each in DOINGS if "by keys" in each), "presses a key", "hangs up", "will be slow", "proposes"]


def lose_connection(scene, side):
    """Close the connection to a side, as ``engine.loop`` reports it."""
    exchange, address = scene.exchange, scene.caller.address if side == "caller" else scene.vendor.address
    now = exchange.clock.now()
    for event in exchange.endpoint.transport_failed(Peer(0, *address), now):
        exchange.switch.handle(event)
    exchange.flush()


# A peer offers nothing while an offer or an INVITE is in progress (RFC 3261 section 14.1, RFC 3311 section 5.1). One
# that does loses count of what is agreed when a 200 is lost: the repeated one seems to answer its latest offer.
OFFERS = frozenset({"proposes", "holds", "updates", "asks for an offer", "refreshes", "changes its mind"})


def do(scene, call, side, what):
    """Let one side of an answered call do something."""
    if what == "loses its connection":
        lose_connection(scene, side)
        return
    there = [each for vendor in scene.vendors for each in vendor.calls if each.final == 200]
    chosen = call if side == "caller" else there[-1] if there else None
    if (
        chosen is not None
        and call.final == 200
        and not chosen.is_over
        and (chosen is not call or call._ack is not None)
        and (what not in OFFERS or chosen.may_offer)
    ):
        DOINGS[what](chosen)


def staged(plan, make):
    """Set a plan up and schedule all of it; ``make`` takes the catalogue and the terms of a scene.

    Return the scene and the call.
    """
    customer._numbers = vendor._numbers = ua._numbers = count(1)
    timer = SessionTimerSettings(ttl_s=90, probe=plan.probe, no_timer_limit_s=plan.limit_s)
    trunk = mapping_gateway(
        "acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(session_timer=timer, transfer_keys=KEYS)
    )
    gateways = [
        vendor_gateway(index, dialect=CalleeDialect(session_timer=timer, display_name=Passing.PASS))
        for index in range(2)
    ]
    content = catalogue([trunk, *gateways], charges_ringing=plan.charges_ringing)
    scene = make(content, balance=plan.balance, listeners=(Listener(*SWITCH, plan.transport),))
    if plan.seed is not None:
        scene.wire.delays = Storm(plan.seed, loss=0.1, doubling=0.2, jitter_ms=40)
    for each, script in zip(scene.vendors, plan.scripts, strict=False):
        each.script = SCRIPTS[script]
    call = scene.caller.call(CALLEE, INTENTS[plan.intent])
    if plan.later:
        scene.wire.after(2_900, partial(setattr, scene.vendor, "script", SCRIPTS[plan.later]))
    for at_ms, side, what in plan.doings:
        scene.wire.after(at_ms, partial(do, scene, call, side, what))
    return scene, call


ANSWERING = ["answers", "answers in no UTF-8", "knows timer", "refreshes itself", "knows no update", "early media"]

doings = st.lists(
    st.tuples(
        st.integers(1_000, 12_000) | st.integers(12_000, 100_000),
        st.sampled_from(["caller", "callee"]),
        st.sampled_from([*sorted(DOINGS), "loses its connection"]),
    ),
    max_size=6,
).map(tuple)


@st.composite
def plans_with_moments(draw):
    """Draw a plan, and moments of which many are soon after something was done."""
    plan = Plan(
        draw(st.sampled_from(sorted(INTENTS))),
        draw(st.tuples(st.sampled_from(ANSWERING) | st.sampled_from(sorted(SCRIPTS)), st.sampled_from(ANSWERING))),
        draw(doings),
        draw(st.none() | st.integers(0, 2**16)),
        draw(st.sampled_from(["100", "0.7"])),
        draw(st.sampled_from(list(Probe))),
        draw(st.sampled_from([300, 40])),
        draw(st.sampled_from(["udp", "udp", "tcp"])),
        charges_ringing=draw(st.booleans()),
    )
    busy = [0, 1_000, *(at_ms for at_ms, _, _ in plan.doings)]
    soon = st.tuples(st.sampled_from(busy), st.integers(1, 10) | st.integers(10, 3_000)).map(sum)
    return plan, sorted(draw(st.lists(soon | st.integers(0, 150_000), min_size=1, max_size=4)))


@st.composite
def keyed_plans(draw):
    """Draw a plan in which a caller transfers by keys."""
    how = draw(st.sampled_from(sorted(each for each in DOINGS if "by keys" in each)))
    side = st.sampled_from(["caller", "callee"])
    then = draw(st.lists(st.tuples(st.integers(7_000, 25_000), side, st.sampled_from(KEYED)), max_size=3))
    doings = ((3_000, "caller", how), *then, (40_000, "callee", "hangs up"))
    script = draw(st.sampled_from(["answers", "answers late", "rings", "fails", "early media"]))
    return Plan("plain", ("answers", "fails"), doings, draw(st.none() | st.integers(0, 2**16)), later=script)
