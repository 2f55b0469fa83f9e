"""Headers on the caller, reasons of failures and retry times: parsing and rendering."""

import pytest
from doubles.virtual.probe import request

from vosd.sip.headers.display_name import CHARACTERS_MAX, quoted, text_of
from vosd.sip.headers.diversion import Diversion
from vosd.sip.headers.history_info import HistoryEntry
from vosd.sip.headers.privacy import wishes
from vosd.sip.headers.reason import Reason, q850_cause, reason_text
from vosd.sip.headers.retry_after import retry_after_s
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message
from vosd.sip.wire.parse import parse_message

OURS = "sip:4420@192.0.2.1"


def read(headers: str) -> Message:
    return parse_message(request("BYE", to="<sip:4420@192.0.2.1>;tag=ours", headers=headers))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"Bob"', "Bob"),
        ("Bob Smith ", "Bob Smith"),
        (r'"Bob \"the\" \\ Smith"', r'Bob "the" \ Smith'),
        ('"Zürich 東京 🙂"', "Zürich 東京 🙂"),
        ('"a\r\nVia: x"', "a Via: x"),
        ('"a\x00b\x85c\u2028d\x7fe"', "a b c d e"),
        ('"M\udcfcller"', "M ller"),
        ('""', ""),
        ('"unfinished', "unfinished"),
        ('"' + "x" * 500 + '"', "x" * CHARACTERS_MAX),
    ],
)
def test_a_display_name_is_read_as_text_without_what_could_end_a_header(written, text):
    assert text_of(written) == text
    assert text_of(quoted(text)) == text


def test_a_display_name_is_written_with_its_quotes_and_backslashes_escaped():
    assert quoted('a "b" \\') == r'"a \"b\" \\"'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id", ("id",)),
        ("ID ; Critical", ("id", "critical")),
        ("user,id", ("user", "id")),
        ("id;id", ("id",)),
        ("none", ("none",)),
        ("id;no-such-thing\u0130", ("id",)),
        ("", ()),
    ],
)
def test_privacy_is_read_as_the_values_that_are_known_rfc_3323_4_2(text, found):
    assert wishes(text) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('Q.850;cause=16;text="Normal; call, clearing"', Reason("Q.850", 16)),
        ("q.850 ; CAUSE=127", Reason("Q.850", 127)),
        ('SIP;cause=200;text="Call completed elsewhere"', Reason("SIP", 200)),
        ("SIP", Reason("SIP", None)),
        ("Q.850;cause=abc", Reason("Q.850", None)),
        ("Q.850;cause=\u0661\u0666", Reason("Q.850", None)),
        ("Q.850;cause=99999", Reason("Q.850", None)),
    ],
)
def test_a_reason_is_a_protocol_and_its_cause_rfc_3326(text, reason):
    assert Reason.parse(text) == reason


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (['Q.850;cause=16;text="Normal; call, clearing"'], "Normal; call, clearing"),
        (['SIP;cause=486;text="Busy"', 'Q.850;cause=17;text="user busy"'], "user busy"),
        (['SIP;cause=486;text="Busy", Q.850;cause=17'], "Busy"),
        (["Q.850;cause=16;text=Terminated"], "Terminated"),
        ([r'Q.850;text="say \"a\\b\""'], r'say "a\b"'),
        (['Q.850;text="' + "x" * 500 + '"'], "x" * 128),
        (["Q.850;cause=16"], None),
        (['Q.850;text=""'], None),
        (['"Q.850";text="x"'], None),
        ([], None),
    ],
)
def test_the_text_of_a_reason_is_kept_without_quotes_and_in_bounds(lines, text):
    message = parse_message(request("BYE", headers="".join(f"Reason: {line}\r\n" for line in lines)))
    assert reason_text(message) == text


def test_no_control_character_reaches_the_record():
    message = parse_message(request("BYE", headers='Reason: Q.850;text="a\tb\x7fc\udce9"\r\n'))
    assert reason_text(message) == "abc"


@pytest.mark.parametrize("text", ["", ";cause=16", "Q.850 cause=16", '"Q.850";cause=16'])
def test_a_reason_without_protocol_is_none(text):
    with pytest.raises(ParseError):
        Reason.parse(text)


@pytest.mark.parametrize(
    ("headers", "cause"),
    [
        ("", None),
        ("Reason: Q.850;cause=34\r\n", 34),
        ('Reason: SIP;cause=503;text="a, b", Q.850;cause=34\r\n', 34),
        ("Reason: SIP;cause=503\r\nReason: Q.850;cause=34\r\n", 34),
        ("Reason: SIP;cause=503\r\n", None),
        ("Reason: ;broken, Q.850;cause=34\r\n", 34),
        ("Reason: Q.850;cause=128\r\n", None),
        ("Reason: Q.850;cause=0\r\n", None),  # Asterisk, where a channel ends without a cause
        ('Reason: SIP;text="Q.850;cause=34"\r\n', None),
    ],
)
def test_the_q850_cause_of_a_message_is_the_first_that_can_be_read_rfc_6432(headers, cause):
    assert q850_cause(read(headers)) == cause


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("18000;duration=3600", 18_000),
        ("120 (I'm in a meeting)", 120),
        ("120(back; soon) ;duration=5", 120),
        ("0", 0),
        ("soon", None),
        ("-5", None),
        ("12x", None),
        ("1" * 11, None),
        ("\u0661", None),
    ],
)
def test_retry_after_is_read_with_comment_and_duration_rfc_3261_20_33(value, seconds):
    assert retry_after_s(read(f"Retry-After: {value}\r\n" if value else "")) == seconds


@pytest.mark.parametrize(
    ("text", "diversion", "written"),
    [
        (
            '"Bob" <sip:+49301@pbx.example:5080;user=phone>;reason=no-answer;counter=2;privacy="full";screen=no',
            Diversion("+49301", "no-answer", "2", "full"),
            f"<{OURS}>;reason=no-answer;counter=2;privacy=full",
        ),
        ("<tel:+49301>;reason=\"User-Busy\"", Diversion("+49301", "user-busy", "", ""), f"<{OURS}>;reason=user-busy"),
        ("<sip:+49301@h>", Diversion("+49301", "unknown", "", ""), f"<{OURS}>;reason=unknown"),
        (
            '<sip:+49301@h>;reason="rack 7";counter=9999;privacy=10.0.0.1',
            Diversion("+49301", "unknown", "", ""),
            f"<{OURS}>;reason=unknown",
        ),
    ],
)  # fmt: skip
def test_a_diversion_keeps_number_reason_counter_and_privacy_rfc_5806(text, diversion, written):
    assert Diversion.parse(text) == diversion
    assert diversion.render(OURS) == written


@pytest.mark.parametrize(
    ("text", "entry", "written"),
    [
        ("<sip:+49301@10.1.2.3>;index=1", HistoryEntry("+49301", "1", (), None, None, False), f"<{OURS}>;index=1"),
        (
            "<sip:+49301@h;cause=302?Reason=SIP%3Bcause%3D302%3Btext%3D%22rack%207%22&Privacy=history>;index=1.1;mp=1",
            HistoryEntry("+49301", "1.1", (("mp", "1"),), 302, Reason("SIP", 302), True),
            f"<{OURS};cause=302?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1.1;mp=1",
        ),
        (
            "<sip:+49301@h;cause=999?reason=Q.850%3Bcause%3D17&Subject=secret>;index=1.2.3;rc=1.2;x=10.0.0.1",
            HistoryEntry("+49301", "1.2.3", (("rc", "1.2"),), None, Reason("Q.850", 17), False),
            f"<{OURS}?Reason=Q.850%3Bcause%3D17>;index=1.2.3;rc=1.2",
        ),
        (
            "<sip:+49301@h?Reason=rack7%3Bcause%3D1>;index=1",
            HistoryEntry("+49301", "1", (), None, None, False),
            f"<{OURS}>;index=1",
        ),
    ],
)  # fmt: skip
def test_a_history_entry_keeps_number_cause_order_and_privacy_rfc_7044(text, entry, written):
    assert HistoryEntry.parse(text) == entry
    assert entry.render(OURS) == written


@pytest.mark.parametrize("text", ["<sip:1@h>", "<sip:1@h>;index=x", "<http://h>;index=1", "<", "<sip:1@h>;index=1..2"])
def test_a_history_entry_without_address_or_index_is_an_error(text):
    with pytest.raises(ParseError):
        HistoryEntry.parse(text)
