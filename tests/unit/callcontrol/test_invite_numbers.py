"""Which numbers an INVITE carries, and where its gateway says they stand."""

import pytest
from doubles.virtual.probe import request

from vosd.callcontrol.invite_numbers import NUMBER_MAX, InviteNumbers
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message
from vosd.trunks.dialect import CalleeSource, CallerSource


def read(**changes) -> Request:
    message = parse_message(request(**changes))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:4420@192.0.2.1", "4420"),
        ("sip:+4420@192.0.2.1;user=phone", "+4420"),
        ("sip:4420;phone-context=x@h", "4420"),
        ("sip:4420:password@h", "4420"),
        ("sip:%2B44%2020@h", "+44 20"),
        ("sip:alice@h", "alice"),
        ("tel:+4420;phone-context=x", "+4420"),
        ("sips:4420@h", "4420"),
        ("sip:" + "4" * NUMBER_MAX + "@h", "4" * NUMBER_MAX),
    ],
)
def test_the_called_number_is_the_user_part_of_the_request_uri(uri, number):
    assert InviteNumbers(read(uri=uri, to="<sip:other@192.0.2.1>")).called() == number


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:192.0.2.1", 484), ("sip:@h", 484), ("sip:;x@h", 484), ("sip:" + "4" * (NUMBER_MAX + 1) + "@h", 484),
        ("http://x/", 416), ("sip:a b@h", 400), ("sip:\udcff@h", 400),
    ],
)  # fmt: skip
def test_a_request_uri_without_user_is_refused(uri, status):
    with pytest.raises(ParseError) as caught:
        InviteNumbers(read(uri=uri)).called()
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("identity", "number"),
    [
        (None, "4930"),
        ("<sip:+49111@h>", "+49111"),
        ('"Smith, A" <sip:+49111@h>, <tel:+49222>', "+49111"),
        ("<sip:h>, <tel:+49222>", "+49222"),
        ("<mailto:anne@h>, <tel:+49222>", "+49222"),
        ("<sip:anne@ims.example>, <tel:+49222>", "+49222"),
        ("<sip:anonymous@anonymous.invalid>, <tel:+49-222>", "+49-222"),
        ("<sip:anne@ims.example>, <tel:+49%20222%2030>", "+49 222 30"),
        ("<sip:+49%20111@h>, <tel:+49222>", "+49 111"),
        ("<sip:u1001@ims.example>, <tel:+49222>", "+49222"),
        ("<sip:anne@ims.example>, <sip:desk@ims.example>", "anne"),
        ("<sip:anne@ims.example>", "anne"),
        ("not readable <, <tel:+49222>", "4930"),
        ("<sip:h>", "4930"),
    ],
)
def test_the_calling_number_is_the_asserted_identity_else_from(identity, number):
    headers = f"P-Asserted-Identity: {identity}\r\n" if identity else ""
    assert InviteNumbers(read(from_="<sip:4930@192.0.2.10>;tag=1", headers=headers)).calling() == number


@pytest.mark.parametrize("from_", ["<sip:192.0.2.10>;tag=1", "<mailto:a@b>;tag=1", "<sip:\udcff@h>;tag=1", "<x;tag=1"])
def test_a_caller_without_readable_header_has_no_number(from_):
    assert InviteNumbers(read(from_=from_)).calling() == ""


@pytest.mark.parametrize(
    ("to", "number"), [("<sip:4420@192.0.2.1>", "4420"), ('"Bob" <tel:+4420>', "+4420"), ("sip:4420@h;x=y", "4420")]
)
def test_a_gateway_may_have_the_called_number_in_to(to, number):
    assert InviteNumbers(read(uri="sip:192.0.2.1", to=to)).called(CalleeSource.TO) == number


@pytest.mark.parametrize(("to", "status"), [("<sip:192.0.2.1>", 484), ("<mailto:a@b>", 416), ("<sip:4420@h", 400)])
def test_a_to_without_user_is_refused_if_it_should_hold_the_number(to, status):
    with pytest.raises(ParseError) as caught:
        InviteNumbers(read(to=to)).called(CalleeSource.TO)
    assert caught.value.status == status


EVERYTHING = (
    "P-Asserted-Identity: <sip:+491@h>\r\n"
    "P-Preferred-Identity: <sip:+492@h>\r\n"
    "Remote-Party-ID: <sip:+490@h>;party=called, <sip:+493@h>;party=calling\r\n"
    "Diversion: <sip:+494@h>;reason=no-answer, <sip:+499@h>\r\n"
)


@pytest.mark.parametrize(
    ("source", "number"),
    [
        (CallerSource.ASSERTED, "+491"),
        (CallerSource.PREFERRED, "+492"),
        (CallerSource.REMOTE_PARTY, "+493"),
        (CallerSource.DIVERSION, "+494"),
        (CallerSource.FROM, "+495"),
    ],
)
def test_the_calling_number_stands_where_the_gateway_has_it(source, number):
    numbers = InviteNumbers(read(from_="<sip:+495@h>;tag=1", headers=EVERYTHING))
    assert numbers.calling([source]) == number
    assert InviteNumbers(read(from_="<sip:+495@h>;tag=1")).calling([source, CallerSource.FROM]) == "+495"


def test_the_first_header_with_a_user_is_taken():
    headers = "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>\r\nRemote-Party-ID: <sip:+493@h>\r\n"
    numbers = InviteNumbers(read(from_="<sip:+495@h>;tag=1", headers=headers))
    order = [CallerSource.ASSERTED, CallerSource.PREFERRED, CallerSource.REMOTE_PARTY, CallerSource.FROM]
    assert numbers.calling(order) == "+493"


@pytest.mark.parametrize(
    ("order", "headers", "from_", "caller"),
    [
        ("from p-asserted-identity", "P-Asserted-Identity: <sip:+491@h>", "<sip:restricted@pbx>", "restricted"),
        ("from p-asserted-identity", "P-Asserted-Identity: <sip:+491@h>", "<sip:unavailable@x.invalid>", "unavailable"),
        ("p-asserted-identity from", "P-Asserted-Identity: <sip:restricted@pbx>", "<sip:+492@h>", "restricted"),
        ("p-asserted-identity from", "P-Asserted-Identity: <sip:+49%2030%2012@h>", "<sip:+492@h>", "+49 30 12"),
        ("p-asserted-identity from", "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>", "<sip:bob@h>", "bob"),
        (
            "diversion p-asserted-identity from",
            "Diversion: <sip:anne@h>, <sip:+493@h>\r\nP-Asserted-Identity: <sip:+491@h>",
            "<sip:+492@h>",
            "anne",
        ),
        ("remote-party-id from", "Remote-Party-ID: <sip:restricted@pbx>, <sip:+493@h>", "<sip:+492@h>", "restricted"),
    ],
)
def test_a_name_does_not_give_way_to_the_number_of_another_header_or_party(order, headers, from_, caller):
    """A name may be a caller's wish to stay unknown, and the other number may be of a party that does not pay."""
    sources = [CallerSource(source) for source in order.split()]
    assert InviteNumbers(read(from_=f"{from_};tag=1", headers=f"{headers}\r\n")).calling(sources) == caller


P_AI, RPID, DIV = "P-Asserted-Identity", "Remote-Party-ID", "Diversion"


@pytest.mark.parametrize(
    ("headers", "from_", "display"),
    [
        ("", '"Alice" <sip:1001@h>;tag=1', None),
        (f'{P_AI}: "Acme Ltd" <sip:4420@h>\r\n', '"Alice" <sip:1001@h>;tag=1', '"Acme Ltd"'),
        (f"{P_AI}: <sip:4420@h>\r\n", '"Alice" <sip:1001@h>;tag=1', ""),
        (f"{P_AI}: <sip:1001@h>\r\n", '"Alice" <sip:1001@h>;tag=1', None),
        (f'{P_AI}: "Acme Ltd" <sip:acme@h>, <tel:+4420>\r\n', '"Alice" <sip:1001@h>;tag=1', '"Acme Ltd"'),
        (f'{P_AI}: "Anonymous" <sip:anonymous@h>\r\n', '"Alice" <sip:1001@h>;tag=1', None),
        (f'{RPID}: "Bob" <sip:1@h>;party=called, "Acme" <sip:4420@h>\r\n', '"Alice" <sip:1001@h>;tag=1', '"Acme"'),
        (f'{RPID}: "Trunk" <sip:h>, "Acme" <sip:4420@h>\r\n', '"Alice" <sip:1001@h>;tag=1', '"Acme"'),
        (f'{DIV}: "Desk" <sip:4420@h>, "Other" <sip:4421@h>\r\n', '"Alice" <sip:1001@h>;tag=1', '"Desk"'),
    ],
)
def test_the_name_of_a_caller_stands_where_its_number_does(headers, from_, display):
    numbers = InviteNumbers(read(headers=headers, from_=from_))
    numbers.calling((CallerSource.ASSERTED, CallerSource.REMOTE_PARTY, CallerSource.DIVERSION, CallerSource.FROM))
    assert numbers.display == display


@pytest.mark.parametrize(
    ("shown", "asserted", "is_one"),
    [
        ("030123456", "+4930123456", True),
        ("004930123456", "+4930123456", True),
        ("4930123456", "+4930123456", True),
        ("+49-30-123456", "+4930123456", True),
        ("+4930123456", "+49-30-123456", True),
        ("2025550100", "+1 (202) 555-0100", True),
        ("061234567", "+39061234567", True),
        ("456", "+4930123456", False),
        ("030123457", "+4930123456", False),
        ("alice", "+4930123456", False),
        ("Sales0123456", "0123456", False),
        ("00", "+4930123456", False),
    ],
)
def test_the_name_of_from_stays_where_it_has_the_number_in_another_form(shown, asserted, is_one):
    numbers = InviteNumbers(read(headers=f"{P_AI}: <sip:{asserted}@h>\r\n", from_=f'"Alice" <sip:{shown}@h>;tag=1'))
    assert numbers.calling().endswith(asserted[-3:])
    assert numbers.display == (None if is_one else "")


def test_a_caller_that_everything_calls_anonymous_is():
    numbers = InviteNumbers(read(from_='"Anonymous" <sip:Anonymous@anonymous.invalid>;tag=1'))
    assert numbers.calling([CallerSource.FROM, CallerSource.ASSERTED]) == "Anonymous"


@pytest.mark.parametrize(
    ("headers", "is_forwarded"),
    [
        ("", False),
        ("Diversion: <sip:+4930@h>;reason=unconditional\r\n", True),
        ("Diversion: not readable <\r\n", True),
        ("History-Info: <sip:4930@h>;index=1, <sip:4420@h;cause=302>;index=1.1;mp=1\r\n", True),
        ("History-Info: <sip:4930@h>;index=1\r\nHistory-Info: <sip:4420@h;cause=408>;index=1.1\r\n", True),
        ("History-Info: <sip:4930@h>;index=1\r\n", False),
        ("History-Info: <sip:0800@h>;index=1, <sip:4420@h;cause=380>;index=1.1\r\n", False),
        ("History-Info: <sip:4420@a?Reason=SIP%3Bcause%3D503>;index=1, <sip:4420@b>;index=1.1\r\n", False),
        ("History-Info: <sip:4420@h;cause=302>\r\n", False),
        ("History-Info: not readable <\r\n", False),
    ],
)
def test_a_call_is_forwarded_by_a_diversion_or_by_a_cause_for_it_in_its_history(headers, is_forwarded):
    assert InviteNumbers(read(headers=headers)).is_forwarded() is is_forwarded


@pytest.mark.parametrize(("before", "is_forwarded"), [(19, True), (20, False)])
def test_of_a_long_history_the_first_entries_are_read(before, is_forwarded):
    entries = ["<sip:4930@h>;index=1"] * before + ["<sip:4420@h;cause=302>;index=1.1"]
    assert InviteNumbers(read(headers=f"History-Info: {', '.join(entries)}\r\n")).is_forwarded() is is_forwarded
