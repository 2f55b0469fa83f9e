"""Whatever rules a trunk has, its messages can be read by a strict peer, and its calls go on as without rules."""

import re
from contextlib import suppress
from typing import Final

from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.exploring import examples
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script
from hypothesis import given, settings, strategies as st

from vosd.trunks.causes import TrunkCauses
from vosd.trunks.dialect import CalleeDialect, CallerDialect, Passing
from vosd.trunks.header_rules import (
    FORBIDDEN,
    HeaderRuleError,
    HeaderRules,
    SessionIdUse,
    TrunkHeaders,
    check_name,
    check_pattern,
    check_value,
)
from vosd.trunks.number_format import NumberFormat, NumberNotation

names = st.sampled_from(
    [*sorted(FORBIDDEN), "X-A", "x-b", "P-Charge-Info", "User-to-User", "Subject", "s", "v", "t", "i", "A" * 60,
     "bad name", "é", "x:y", ""]
)  # fmt: skip
patterns = names | st.sampled_from(["*", "x-*", "c*", "v*", "P-*", "**", "user*", "Reason", "Date", "Alert-Info"])
pieces = st.sampled_from(
    ['"', "text", "{caller}", "{callee}", "{caller_in}", "{account}", "{call_id}", "{gateway}", "{header X-A}", "<",
     ">", "{header From}", "{header To match tag=(.*)}", "{header X-A match (a{1,3})}", "{{", "}}", "\\", ";", ",", "é",
     "\r\n", "\x00", "%0d%0a", "{header Via}", "\udcff", " ", "{nothing}"]
)  # fmt: skip
values = st.lists(pieces, max_size=6).map("".join)
carried = st.lists(
    st.tuples(
        st.sampled_from(["X-A", "X-B", "Subject", "User-to-User", "C-D", "Session-ID", "P-Asserted-Identity"]), values
    ),
    max_size=4,
)


def allowed(patterns: list[str], *, passes: bool) -> tuple[str, ...]:
    found = []
    for each in patterns:
        with suppress(HeaderRuleError):
            found.append(check_pattern(each, passes=passes, to_caller=False))
    return tuple(found)


def fit(pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    found = []
    for name, value in pairs:
        with suppress(HeaderRuleError):
            check_name(name)
            check_value(value)
            found.append((name, value))
    return tuple(found)


lists = st.lists(patterns, max_size=4)
pairs = st.lists(st.tuples(names, values), max_size=3).map(fit)
rules = st.builds(
    HeaderRules,
    passes=lists.map(lambda each: allowed(each, passes=True)),
    removes=lists.map(lambda each: allowed(each, passes=False)),
    sets=pairs,
    adds=pairs,
)
forms = st.sampled_from(NumberNotation)
hosts = st.sampled_from(["", "carrier.example", "[2001:db8::7]", "192.0.2.7"])
of_q850 = st.integers(1, 127)
cause_maps = st.dictionaries(of_q850.map(str), of_q850, max_size=3)
causes = st.none() | st.builds(TrunkCauses, cause_maps, cause_maps)
dialects = st.builds(
    CalleeDialect,
    causes=causes,
    headers=st.builds(TrunkHeaders, rules, rules),
    request_host=hosts,
    from_host=hosts,
    to_host=hosts,
    contact_user=st.sampled_from(["", "trunk2"]),
    contact_host=hosts,
    user_agent=st.sampled_from(["", "Acme SBC"]),
    route=st.sampled_from([(), ("<sip:proxy.example;lr>",)]),
    session_id=st.sampled_from(SessionIdUse),
    diversion=st.sampled_from(Passing),
    history_info=st.sampled_from(Passing),
    convert_diversions=st.booleans(),
    number_format=st.none()
    | st.builds(
        NumberFormat, request_uri=forms, from_=forms, to=forms, pai=forms, diversion=forms, country=st.just("44")
    ),
)
callers = st.builds(
    CallerDialect,
    connected_identity=st.sampled_from(Passing),
    headers=st.builds(TrunkHeaders, rules, rules),
    session_id=st.sampled_from(SessionIdUse),
    causes=causes,
)
_FORWARDED: Final = re.compile(r'<(sip:[^<>"\s]*|tel:\+\d+)>(;[a-z-]+=([\w.-]+|"([^"\\]|\\.)*"))*')
"""A value of Diversion (RFC 5806) or History-Info (RFC 7044) as the switch writes them."""
USUAL: Final = "has no business there"
"""The complaint about headers that the switch sends by rules alone."""


numbers = st.sampled_from(["442079460001", "+44 20", "", "a%22b", "1;x=y", "%0d%0a", '"', "x" * 300])
diverted = st.builds(
    "Diversion: <sip:{}@h>;reason={};counter={};privacy={}".format,
    numbers,
    st.sampled_from(["user-busy", "no-answer", '"odd; reason"', "x"]),
    st.sampled_from(["1", "0", "99999", "x"]),
    st.sampled_from(["off", "full", "x"]),
)
recalled = st.builds(
    "History-Info: <sip:{}@h;cause={}{}>;index={}{}".format,
    numbers,
    st.sampled_from(["302", "404", "x"]),
    st.sampled_from(["", "?Privacy=history", "?Reason=SIP%3Bcause%3D302"]),
    st.sampled_from(["1", "1.1", "1.1.1", "1.2", "1" + ".1" * 20, "x"]),
    st.sampled_from(["", ";mp=1", ";rc=1.1", ";mp=9"]),
)
forwarded = st.lists(diverted | recalled, max_size=4)


@settings(deadline=None, max_examples=examples(36, 600))
@given(dialects, callers, carried, carried, forwarded)
def test_rules_leave_every_message_readable_and_its_dialog_whole(dialect, calling, asked, answered, sent_on):
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=calling)
    scene = Scene(catalogue([customer, vendor_gateway(0, dialect=dialect)]))
    lines = tuple(f"{name}: {value}" for name, value in answered if value.isprintable())
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, lines), Line(500, 200, ANSWER, lines)))
    headers = (*sent_on, *(f"{name}: {value}" for name, value in asked if value.isprintable()))
    call = scene.whole_call(Intent(headers=headers, hang_up_after_ms=500))
    record = scene.close()
    assert (call.final, record.end_reason) == (200, "Normal")
    faults = [each for each in faults_of(scene.wire.packets, scene.caller.switch) if USUAL not in each]
    assert not faults
    if dialect.headers is None or not dialect.headers.requests.adds + dialect.headers.requests.sets:
        for name in ("Diversion", "History-Info"):
            for value in scene.vendor.only_call.invite.every(name):
                assert _FORWARDED.fullmatch(value), value
