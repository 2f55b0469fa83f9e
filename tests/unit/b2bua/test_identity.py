"""Who calls, as the customer says it and each vendor is told (RFC 3323, 3325, 5806, 7044, 8224)."""

import pytest
from doubles.virtual.probe import request

from vosd.b2bua.identity import PASSED_ON_MAX, PLAIN, CallerIdentity, caller_identity_of
from vosd.b2bua.outgoing.presentation import ANONYMOUS_FROM, present
from vosd.sip.headers.diversion import Diversion
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing, Privacy

OURS = "192.0.2.1"
PLAIN_FROM = "<sip:+4930@192.0.2.10>;tag=1"
ANONYMOUS_CALLER = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'
ASSERTED = (IdentityHeader.ASSERTED,)
REMOTE_PARTY = (IdentityHeader.REMOTE_PARTY,)
SIGNATURE = "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7fX0.c2ln;info=<https://cert.example/a.pem>;alg=ES256;ppt=shaken"
DATE = "Thu, 01 Oct 2026 12:00:00 GMT"


def heard(headers: str = "", from_: str = PLAIN_FROM, to: str = "<sip:4420@192.0.2.1>") -> CallerIdentity:
    message = parse_message(request(from_=from_, to=to, headers=headers))
    assert isinstance(message, Request)
    return caller_identity_of(message)


def told(
    caller_identity: CallerIdentity, caller: str = "+4930", callee: str = "4420", **dialect
) -> tuple[str, list[str]]:
    """Return From and the further lines that a vendor with this dialect gets."""
    shown = present(caller_identity, caller, callee, OURS, CalleeDialect(**dialect))
    assert shown.headers == "" or shown.headers.endswith("\r\n")
    return shown.from_, shown.headers.split("\r\n")[:-1]


# -- the common case --------------------------------------------------------------------------------------------------


def test_a_caller_that_is_only_a_number_costs_nothing_and_goes_out_as_that_number():
    assert heard() is PLAIN
    assert heard("P-Asserted-Identity: <sip:+4930@h>\r\nDate: x\r\n") is PLAIN
    assert told(PLAIN) == ("<sip:+4930@192.0.2.1>", [])


def test_a_caller_without_number_is_anonymous_without_asserted_identity():
    assert told(PLAIN, caller="", identity=ASSERTED + REMOTE_PARTY) == ("<sip:anonymous@192.0.2.1>", [])


def test_the_number_that_goes_out_is_escaped_wherever_it_stands():
    from_, lines = told(PLAIN, caller='4>"\r\nVia: x', identity=ASSERTED)
    assert from_ == "<sip:4%3E%22%0D%0AVia%3A%20x@192.0.2.1>"
    assert lines == [f"P-Asserted-Identity: {from_}"]


@pytest.mark.parametrize(
    ("identity", "lines"),
    [
        (ASSERTED, ["P-Asserted-Identity: <sip:+4930@192.0.2.1>"]),
        (REMOTE_PARTY, ["Remote-Party-ID: <sip:+4930@192.0.2.1>;party=calling;screen=yes;privacy=off"]),
    ],
)
def test_the_number_stands_in_the_headers_that_the_vendor_reads(identity, lines):
    assert told(PLAIN, identity=identity) == ("<sip:+4930@192.0.2.1>", lines)


# -- display names ----------------------------------------------------------------------------------------------------


def test_the_callers_name_stays_here_by_default():
    assert told(heard(from_='"Bob" <sip:+4930@h>;tag=1')) == ("<sip:+4930@192.0.2.1>", [])
    assert told(heard(from_='"Bob" <sip:+4930@h>;tag=1'), identity=ASSERTED)[1] == [
        "P-Asserted-Identity: <sip:+4930@192.0.2.1>"
    ]


def test_a_name_that_passes_is_written_anew_with_its_letters_kept():
    caller_identity = heard(from_='"Zoë \\"東京\\"" <sip:+4930@pbx.example>;tag=1')
    from_, lines = told(caller_identity, display_name=Passing.PASS, identity=ASSERTED)
    assert from_ == '"Zoë \\"東京\\"" <sip:+4930@192.0.2.1>'
    assert lines == [f"P-Asserted-Identity: {from_}"]


def test_the_name_of_a_caller_that_stays_unknown_goes_with_its_number_to_trusted_vendors_only():
    caller_identity = heard("Privacy: id\r\n", from_='"Bob" <sip:+4930@h>;tag=1')
    assert told(caller_identity, display_name=Passing.PASS) == (ANONYMOUS_FROM, [])
    assert told(caller_identity, display_name=Passing.PASS, identity=ASSERTED)[1] == [
        'P-Asserted-Identity: "Bob" <sip:+4930@192.0.2.1>', "Privacy: id",
    ]  # fmt: skip


def test_a_from_that_cannot_be_read_has_no_name():
    assert heard(from_='"Bob <sip:4930@h>;tag=1') is PLAIN


# -- privacy ----------------------------------------------------------------------------------------------------------

WISHES = [
    ("Privacy: id\r\n", PLAIN_FROM),
    ("Privacy: user;critical\r\n", PLAIN_FROM),
    ("Privacy: header\r\n", PLAIN_FROM),
    ("Privacy: full\r\n", PLAIN_FROM),
    ("Remote-Party-ID: <sip:+4930@h>;party=calling;privacy=full\r\n", PLAIN_FROM),
    ("Remote-Party-ID: <sip:+4930@h>;privacy=uri-network\r\n", PLAIN_FROM),
    ("P-Asserted-Identity: <sip:+4930@h>\r\n", ANONYMOUS_CALLER),
    ("", "<sip:Anonymous@192.0.2.10>;tag=1"),
    ("", "<sip:+4930@anonymous.invalid>;tag=1"),
]


@pytest.mark.parametrize(("headers", "from_"), WISHES)
def test_privacy_is_respected_by_default(headers, from_):
    caller_identity = heard(headers, from_)
    assert told(caller_identity) == (ANONYMOUS_FROM, [])
    assert told(caller_identity, identity=ASSERTED) == (
        ANONYMOUS_FROM,
        ["P-Asserted-Identity: <sip:+4930@192.0.2.1>", "Privacy: id"],
    )
    assert told(caller_identity, identity=REMOTE_PARTY) == (
        ANONYMOUS_FROM,
        ["Remote-Party-ID: <sip:+4930@192.0.2.1>;party=calling;screen=yes;privacy=full"],
    )


@pytest.mark.parametrize(
    "headers",
    [
        "Privacy: none\r\n",
        "Privacy: session\r\n",
        "Privacy: history\r\n",
        "Remote-Party-ID: <sip:+4930@h>;privacy=off\r\n",
        "Remote-Party-ID: <sip:4420@h>;party=called;privacy=full\r\n",
        "Remote-Party-ID: <<<;privacy=full\r\n",
    ],
)
def test_other_privacy_values_do_not_hide_the_caller(headers):
    assert told(heard(headers)) == ("<sip:+4930@192.0.2.1>", [])


def test_a_number_that_holds_the_word_is_not_anonymous():
    assert told(heard(from_='"anonymous tips" <sip:+4930@h>;tag=1')) == ("<sip:+4930@192.0.2.1>", [])


def test_passed_on_the_wish_is_for_the_vendor_to_fulfil():
    caller_identity = heard("Privacy: id;critical;made-up\r\n")
    assert told(caller_identity, privacy=Privacy.PASS, identity=ASSERTED + REMOTE_PARTY) == (
        "<sip:+4930@192.0.2.1>",
        [
            "P-Asserted-Identity: <sip:+4930@192.0.2.1>",
            "Remote-Party-ID: <sip:+4930@192.0.2.1>;party=calling;screen=yes;privacy=full",
            "Privacy: id;critical",
        ],
    )
    assert told(heard(from_=ANONYMOUS_CALLER), privacy=Privacy.PASS) == (ANONYMOUS_FROM, [])


@pytest.mark.parametrize(
    ("headers", "from_", "wish"),
    [
        ("Remote-Party-ID: <sip:+4930@h>;party=calling;privacy=full\r\n", PLAIN_FROM, "id"),
        ("Privacy: full\r\n", PLAIN_FROM, "id"),
        ("Privacy: none\r\nRemote-Party-ID: <sip:+4930@h>;privacy=full\r\n", PLAIN_FROM, "id"),
        ("Privacy: session\r\nRemote-Party-ID: <sip:+4930@h>;privacy=full\r\n", PLAIN_FROM, "session;id"),
        ("Privacy: user\r\nRemote-Party-ID: <sip:+4930@h>;privacy=full\r\n", PLAIN_FROM, "user"),
        ("", ANONYMOUS_CALLER, "id"),
    ],
)
def test_a_wish_that_no_standard_value_says_is_passed_on_as_one(headers, from_, wish):
    lines = told(heard(headers, from_), privacy=Privacy.PASS, identity=ASSERTED)[1]
    assert lines == ["P-Asserted-Identity: <sip:+4930@192.0.2.1>", f"Privacy: {wish}"]


def test_a_vendor_may_get_no_caller_at_all():
    assert told(PLAIN, privacy=Privacy.ANONYMISE) == (ANONYMOUS_FROM, [])
    assert told(PLAIN, privacy=Privacy.ANONYMISE, identity=ASSERTED)[1] == [
        "P-Asserted-Identity: <sip:+4930@192.0.2.1>", "Privacy: id",
    ]  # fmt: skip


@pytest.mark.parametrize(("headers", "from_"), WISHES)
def test_a_trusted_vendor_may_get_a_withheld_number(headers, from_):
    assert told(heard(headers, from_), privacy=Privacy.STRIP) == ("<sip:+4930@192.0.2.1>", [])


def test_an_anonymous_caller_without_number_has_no_asserted_identity():
    caller_identity = heard(from_=ANONYMOUS_CALLER)
    assert told(caller_identity, caller="anonymous", identity=ASSERTED + REMOTE_PARTY) == (ANONYMOUS_FROM, [])


# -- where the call was before ----------------------------------------------------------------------------------------

DIVERTED = (
    'Diversion: "Rack 7" <sip:+49301@10.1.2.3>;reason=no-answer;counter=1\r\n'
    "Diversion: <sip:+49302@10.1.2.3>;privacy=full\r\n"
)
HISTORY = (
    "History-Info: <sip:+49302@10.1.2.3?Privacy=history>;index=1, <sip:+49301@10.1.2.3;cause=408>;index=1.1;mp=1\r\n"
)


def test_where_the_call_was_before_stays_here_by_default():
    assert told(heard(DIVERTED + HISTORY), identity=ASSERTED)[1] == ["P-Asserted-Identity: <sip:+4930@192.0.2.1>"]


def test_diversions_that_pass_name_no_host_of_the_customers_and_no_number_that_is_withheld():
    assert told(heard(DIVERTED), diversion=Passing.PASS)[1] == [
        "Diversion: <sip:+49301@192.0.2.1>;reason=no-answer;counter=1",
        "Diversion: <sip:anonymous@anonymous.invalid>;reason=unknown;privacy=full",
    ]


def test_history_that_passes_names_no_host_of_the_customers_and_no_number_that_is_withheld():
    assert told(heard(HISTORY), history_info=Passing.PASS)[1] == [
        "History-Info: <sip:anonymous@anonymous.invalid?Privacy=history>;index=1",
        "History-Info: <sip:+49301@192.0.2.1;cause=408>;index=1.1;mp=1",
    ]


@pytest.mark.parametrize(
    "trust", [{"identity": ASSERTED}, {"identity": REMOTE_PARTY}, {"privacy": Privacy.PASS}, {"privacy": Privacy.STRIP}]
)
def test_a_trusted_vendor_gets_the_withheld_numbers_of_others_too(trust):
    _, lines = told(heard(DIVERTED + HISTORY), diversion=Passing.PASS, history_info=Passing.PASS, **trust)
    assert "Diversion: <sip:+49302@192.0.2.1>;reason=unknown;privacy=full" in lines
    assert "History-Info: <sip:+49302@192.0.2.1?Privacy=history>;index=1" in lines


@pytest.mark.parametrize("wish", ["history", "id;history", "session"])
def test_each_entry_of_a_history_that_is_withheld_says_so_to_a_trusted_vendor(wish):
    """RFC 7044 section 10.1: the Privacy of the caller does not reach it."""
    _, lines = told(heard(f"{HISTORY}Privacy: {wish}\r\n"), identity=ASSERTED, history_info=Passing.PASS)
    assert [line for line in lines if line.startswith("History-Info")] == [
        "History-Info: <sip:+49302@192.0.2.1?Privacy=history>;index=1",
        "History-Info: <sip:+49301@192.0.2.1;cause=408?Privacy=history>;index=1.1;mp=1",
    ]


@pytest.mark.parametrize("wish", ["history", "header", "session"])
def test_a_caller_can_withhold_the_whole_history_rfc_7044_10_1(wish):
    _, lines = told(heard(f"{HISTORY}Privacy: {wish}\r\n"), history_info=Passing.PASS)
    assert [line.partition(">")[0] for line in lines] == [
        "History-Info: <sip:anonymous@anonymous.invalid?Privacy=history",
        "History-Info: <sip:anonymous@anonymous.invalid;cause=408",
    ]


def test_what_cannot_be_read_is_left_out_and_the_rest_goes_on():
    caller_identity = heard("Diversion: broken>, <sip:+49301@h>\r\nHistory-Info: <sip:1@h>\r\nRemote-Party-ID: ,\r\n")
    assert caller_identity.diversions == (Diversion("+49301", "unknown", "", ""),)
    assert caller_identity.history == ()


def test_no_call_drags_an_endless_history_along():
    caller_identity = heard("Diversion: <sip:1@h>\r\nIdentity: a.b.c\r\n" * 40)
    assert len(caller_identity.diversions) == len(caller_identity.signatures) == PASSED_ON_MAX


# -- signatures -------------------------------------------------------------------------------------------------------

SIGNED = f"Identity: {SIGNATURE}\r\nDate: {DATE}\r\nIdentity: other..sig;info=<https://b.example/b>\r\n"


def test_signatures_pass_untouched_and_in_order_with_their_date_rfc_8224():
    assert told(heard(SIGNED)) == (
        "<sip:+4930@192.0.2.1>",
        [f"Date: {DATE}", f"Identity: {SIGNATURE}", "Identity: other..sig;info=<https://b.example/b>"],
    )


@pytest.mark.parametrize("sent", [{"caller": "4930"}, {"callee": "+4420"}])
def test_a_leading_plus_changes_no_signed_number(sent):
    assert len(told(heard(SIGNED), **sent)[1]) == 3


@pytest.mark.parametrize(
    "sent", [{"caller": "+4931"}, {"callee": "004420"}, {"caller": ""}, {"privacy": Privacy.ANONYMISE}]
)
def test_signatures_are_left_out_where_what_they_cover_has_changed(sent):
    assert told(heard(SIGNED), **sent)[1] == []


def test_signatures_are_left_out_with_the_number_of_a_caller_that_stays_unknown():
    assert told(heard(f"{SIGNED}Privacy: id\r\n"))[1] == []


def test_a_signed_address_that_is_no_number_does_not_survive_our_host():
    caller_identity = heard(SIGNED, from_="<sip:bob@customer.example>;tag=1")
    assert told(caller_identity, caller="bob")[1] == []


def test_a_signature_with_bytes_that_no_signature_has_is_left_out():
    assert told(heard(f"Identity: \u00e9\r\nDate: {DATE}\r\n"))[1] == []


def test_a_date_alone_is_not_passed_on():
    assert told(heard(f"Date: {DATE}\r\nPrivacy: none\r\n"))[1] == []
