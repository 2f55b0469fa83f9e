"""Diversion and History-Info made of each other (RFC 7544), and sent as the vendor's trunk says."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import answers
from hypothesis import given, strategies as st

from vosd.b2bua.outgoing.forwarding import diversions_of, history_of
from vosd.sip.headers.diversion import Diversion
from vosd.sip.headers.history_info import HistoryEntry
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.uri import user_part
from vosd.trunks.dialect import CalleeDialect, CallerDialect, CallerSource, IdentityHeader, Passing, Privacy
from vosd.trunks.number_format import NumberFormat, NumberNotation

DIVERTED = (
    "Diversion: <sip:+49302@10.1.2.3>;reason=user-busy;counter=1;privacy=off",
    "Diversion: <sip:+49301@10.1.2.3>;reason=unconditional;privacy=full",
)
HISTORY = (
    "History-Info: <sip:+49301@10.1.2.3>;index=1",
    "History-Info: <sip:+49302@10.1.2.3;cause=302>;index=1.1;mp=1",
    "History-Info: <sip:4420@10.1.2.3;cause=486>;index=1.1.1;mp=1.1",
)


def sent(headers: tuple[str, ...], **dialect: object) -> list[str]:
    """Return the Diversion and History-Info lines that the vendor got, with its own host as ``H``."""
    vendor = vendor_gateway(0, dialect=CalleeDialect(**{"convert_diversions": True, **dialect}))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor]))
    scene.whole_call(Intent(headers=headers, hang_up_after_ms=1_000), script=answers(0))
    scene.close()
    invite = scene.vendor.only_call.invite
    lines = [f"{name}: {value}" for name, value in invite.headers if name in {"diversion", "history-info"}]
    return [line.replace(scene.caller.switch.host, "H") for line in lines]


def presented(
    headers: tuple[str, ...], order: tuple[CallerSource, ...] = (CallerSource.DIVERSION,), **vendor: object
) -> tuple[str, list[str], list[str], str | None]:
    """Return From's user, P-Asserted-Identity and Privacy that a vendor got, and the record's word for the wish."""
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(caller_from=order))
    scene = Scene(catalogue([customer, vendor_gateway(0, dialect=CalleeDialect(**vendor))]))
    scene.whole_call(Intent(headers=headers, hang_up_after_ms=1_000), script=answers(0))
    record, invite = scene.close(), scene.vendor.only_call.invite
    asserted = [user_part(NameAddr.parse(value).uri) for value in invite.every("P-Asserted-Identity")]
    return user_part(NameAddr.parse(invite["From"]).uri), asserted, invite.every("Privacy"), record.caller_privacy


@pytest.mark.parametrize("wish", ["full", "uri"])
@pytest.mark.parametrize("also", [(), ("Privacy: none",)])
def test_a_number_taken_from_a_diversion_is_withheld_as_the_diversion_asks(wish, also):
    headers = (f"Diversion: <sip:+49302@10.1.2.3>;reason=user-busy;privacy={wish}", *also)
    trusted = (IdentityHeader.ASSERTED,)
    assert presented(headers) == ("anonymous", [], [], "withheld")
    assert presented(headers, identity=trusted) == ("anonymous", ["+49302"], ["id"], "withheld")
    assert presented(headers, privacy=Privacy.PASS) == ("+49302", [], ["id"], "withheld")


def test_a_number_taken_from_a_diversion_that_withholds_none_is_shown():
    for headers in (
        ("Diversion: <sip:+49302@10.1.2.3>;reason=user-busy;privacy=off",),
        ("Diversion: <sip:+49302@10.1.2.3>;privacy=name", "Diversion: <sip:+49301@10.1.2.3>;privacy=full"),
        ("Diversion: <sip:10.1.2.3>;privacy=full", "Diversion: <sip:+49302@10.1.2.3>"),
    ):
        assert presented(headers) == ("+49302", [], [], None)


def test_a_diversion_of_a_call_with_the_number_of_its_caller_withholds_its_own_number_alone():
    headers = ("P-Asserted-Identity: <sip:+49302@h>", "Diversion: <sip:+49301@10.1.2.3>;privacy=full")
    own_first = (CallerSource.ASSERTED, CallerSource.DIVERSION)
    assert presented(headers, own_first) == ("+49302", [], [], None)


def test_a_history_is_made_of_diversions():
    assert sent(DIVERTED, history_info=Passing.PASS) == [
        "history-info: <sip:anonymous@anonymous.invalid?Privacy=history>;index=1",
        "history-info: <sip:+49302@H;cause=302>;index=1.1;mp=1",
        f"history-info: <sip:{CALLEE}@H;cause=486>;index=1.1.1;mp=1.1",
    ]


def test_a_history_has_sip_uris_where_diversions_have_those_of_telephones():
    """Reason and Privacy stand in the headers of an entry's URI, which ``tel`` has none of."""
    history = (
        "History-Info: <sip:+49301@10.1.2.3;cause=302?Reason=SIP%3Bcause%3D302>;index=1",
        "History-Info: <sip:112@10.1.2.3>;index=1.1",
    )
    tel = NumberFormat(diversion=NumberNotation.TEL, country="49")
    assert sent((*DIVERTED[:1], *history), diversion=Passing.PASS, history_info=Passing.PASS, number_format=tel) == [
        "diversion: <tel:+49302>;reason=user-busy;counter=1;privacy=off",
        "history-info: <sip:+49301@H;user=phone;cause=302?Reason=SIP%3Bcause%3D302>;index=1",
        "history-info: <sip:112@H>;index=1.1",
    ]


def test_diversions_are_made_of_a_history():
    assert sent(HISTORY, diversion=Passing.PASS) == [
        "diversion: <sip:+49302@H>;reason=user-busy;counter=1;privacy=off",
        "diversion: <sip:+49301@H>;reason=unconditional;counter=1;privacy=off",
    ]


def test_a_caller_that_withholds_its_history_withholds_the_diversions_that_are_made():
    found = sent((*HISTORY, "Privacy: history"), diversion=Passing.PASS)
    assert {line.partition(">")[0] for line in found} == {"diversion: <sip:anonymous@anonymous.invalid"}


def test_what_the_caller_sent_itself_stays_as_it_is():
    both = {"diversion": Passing.PASS, "history_info": Passing.PASS}
    assert sent((*DIVERTED[:1], *HISTORY[:1]), **both) == [
        "diversion: <sip:+49302@H>;reason=user-busy;counter=1;privacy=off",
        "history-info: <sip:+49301@H>;index=1",
    ]
    assert sent((), **both) == []


def test_targets_without_a_cause_and_those_from_nowhere_are_no_diversions():
    entries = [
        HistoryEntry("1", "1", (), None, None, False),
        HistoryEntry("2", "1.1", (("rc", "1"),), None, None, False),
        HistoryEntry("3", "7.1", (("mp", "7"),), 302, None, False),
    ]
    assert diversions_of(entries, is_withheld=False) == ()


def test_a_counter_stands_for_steps_of_the_index_within_bounds():
    one = Diversion("1", "away", "3", "")
    assert [each.place for each in history_of([one], "9")] == ["1", "1.1.1.1"]
    assert [each.cause for each in history_of([one], "9")] == [None, 404]
    many = [Diversion(str(each), "no-answer", "999", "") for each in range(10)]
    assert max(each.place.count(".") for each in history_of(many, "9")) <= 15


REASONS = st.sampled_from(["unconditional", "user-busy", "no-answer", "deflection", "unavailable", "unknown"])


@given(
    st.lists(st.builds(Diversion, st.text("0123456789", min_size=1), REASONS, st.just("1"), st.just("off")), max_size=8)
)
def test_diversions_come_back_from_the_history_that_is_made_of_them(diversions):
    assert list(diversions_of(history_of(diversions, "9"), is_withheld=False)) == diversions


@pytest.mark.parametrize("wanted", ["diversion", "history_info"])
def test_nothing_is_made_where_the_trunk_does_not_ask_for_it(wanted):
    headers = HISTORY if wanted == "diversion" else DIVERTED
    assert sent(headers, **{wanted: Passing.PASS, "convert_diversions": False}) == []


@pytest.mark.parametrize("converts", [False, True])
def test_a_phone_says_of_no_number_but_its_own_that_it_has_diverted_the_call(converts):
    """It is outside of the trust domain (RFC 3325 section 5): a vendor would bill, or show, the number of others."""
    dialect = CalleeDialect(diversion=Passing.PASS, history_info=Passing.PASS, convert_diversions=converts)
    desk = phone("1001")
    scene = Scene(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, dialect=dialect)], phones=(desk,))
    )
    telephone = scene.exchange.telephone("1001", Endpoint("203.0.113.66", 41_234))
    telephone.register()
    said = (
        "Diversion: <sip:442071111111@x>;reason=unconditional, <sip:1001@x>;reason=no-answer",
        f"History-Info: <sip:442071111111@x>;index=1, <sip:{CALLEE}@x;cause=302>;index=1.1;mp=1",
    )
    call = telephone.call(CALLEE, Intent(headers=said, hang_up_after_ms=500))
    scene.wire.run_until(lambda: call.is_over)
    invite = scene.vendor.only_call.invite
    assert [value.partition("@")[0] for value in invite.every("Diversion")] == ["<sip:1001"]
    assert b"442071111111" not in scene.bytes_to(VENDORS[0])
    assert bool(invite.every("History-Info")) is converts
    scene.close()
