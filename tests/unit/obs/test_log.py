"""The log's shape: one JSON object a line for machines, one line a call, one line a scanner and minute."""

import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
import structlog
from doubles.kept_log import log_as_it_was

from vosd.cdr.record import Attempt, CallRecord
from vosd.obs.log import LINES_AT_ONCE, LogLimiter, PlaceLimiter, call_line, configure, write_call_lines

RECORD = CallRecord(
    call_id="01890000-0000-7000-8000-000000000001",
    node="sw1",
    mapping_gateway="acme-pbx",
    routing_gateway="carrier-a",
    customer_account="acme",
    vendor_account="carrier-a",
    currency="USD",
    caller_in="1000",
    callee_in="+442012345678",
    callee_billing="442012345678",
    callee_out="442012345678",
    sip_call_id_in="in@customer",
    sip_call_id_out="out@vosd",
    source_address="127.0.0.1:5062",
    started_at=1_000,
    answered_at=3_000,
    ended_at=63_000,
    pdd_ms=250,
    hold_time_ms=60_000,
    billed_seconds=60,
    fee=Decimal("0.0100"),
    hangup_source="caller",
    end_reason="Normal",
    attempts=(Attempt("carrier-a", 200, 2_000, 250, "Normal"),),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    with log_as_it_was():
        yield


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    write_call_lines()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_reload_that_leaves_the_level_makes_no_further_class() -> None:
    """A class refers to itself, and a switch keeps what refers to itself when it reloads."""
    classes = []
    for level in ("info", "warning", "info"):
        configure(level, io.StringIO())
        classes.append(structlog.get_config()["wrapper_class"])
    assert classes[0] is classes[2] is not classes[1]


def test_a_call_is_one_line_with_what_an_operator_greps_for() -> None:
    stream = io.StringIO()
    configure("info", stream)
    call_line(RECORD)
    (line,) = lines(stream)
    assert line["event"] == "call"
    assert line["level"] == "info"
    assert line["call_id"] == RECORD.call_id
    assert (line["reason"], line["hangup_source"]) == ("Normal", "caller")
    assert (line["customer"], line["vendor"]) == ("acme", "carrier-a")
    assert (line["fee"], line["hold_ms"], line["attempts"]) == ("0.01", 60_000, 1)
    assert line["tried"] == "carrier-a 200"
    assert str(line["timestamp"]).endswith("Z")


def test_the_line_of_a_call_names_every_attempt_with_its_code_or_its_silence() -> None:
    stream = io.StringIO()
    configure("info", stream)
    tried = (
        Attempt("carrier-b", 0, 5_000, None, "Unavailable"),
        Attempt("carrier-c", 503, 20, None, "Unavailable"),
        Attempt("1002", 0, 2_000, 250, "Answered Elsewhere"),
        Attempt("carrier-a", 200, 2_000, 250, "Normal"),
    )
    call_line(msgspec.structs.replace(RECORD, attempts=tried))
    (line,) = lines(stream)
    said = "carrier-b no response, carrier-c 503, 1002 answered elsewhere, carrier-a 200"
    assert (line["attempts"], line["tried"]) == (4, said)


def test_what_did_not_happen_is_left_out_of_the_call_line() -> None:
    stream = io.StringIO()
    configure("info", stream)
    refused = CallRecord(
        call_id="x", node="sw1", started_at=1, ended_at=1, hangup_source="switch", end_reason="No Matching Rate"
    )
    call_line(refused)
    (line,) = lines(stream)
    assert not {"fee", "hold_ms", "routing_gateway", "pdd_ms"} & line.keys()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"verdicts": '{"plan":"a","refusal":"pbx: called number 1900 is denied by list:bad"}'}, True),
        ({"verdicts": '{"plan":"a"}'}, False),
        ({"verdicts": "damaged"}, False),
        ({}, False),
    ],
)
def test_the_line_of_a_refused_call_says_which_list_or_limit_was_the_reason(
    changes: dict[str, str], *, refusal: bool
) -> None:
    stream = io.StringIO()
    configure("info", stream)
    refused = CallRecord(
        call_id="x", node="sw1", started_at=1, ended_at=1, hangup_source="switch", end_reason="Number Not Allowed"
    )
    call_line(msgspec.structs.replace(refused, **changes))
    (line,) = lines(stream)
    assert line.get("refusal") == ("pbx: called number 1900 is denied by list:bad" if refusal else None)


def test_nothing_is_written_below_the_level() -> None:
    stream = io.StringIO()
    configure("warning", stream)
    call_line(RECORD)
    assert lines(stream) == []


def test_lines_of_calls_are_written_together_and_in_order() -> None:
    stream = io.StringIO()
    configure("info", stream)
    ids = [f"call-{number}" for number in range(LINES_AT_ONCE + 2)]
    for each in ids:
        call_line(msgspec.structs.replace(RECORD, call_id=each))
    assert stream.getvalue().count("\n") == LINES_AT_ONCE
    assert [line["call_id"] for line in lines(stream)] == ids


def test_a_log_that_takes_nothing_ends_no_call() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    configure("info", Full())
    call_line(RECORD)
    write_call_lines()
    stream = io.StringIO()
    configure("info", stream)
    call_line(RECORD)
    assert len(lines(stream)) == 1


def test_a_second_configure_changes_the_level_of_a_logger_in_use() -> None:
    stream = io.StringIO()
    log = structlog.get_logger()
    configure("error", stream)
    log.info("hidden")
    configure("info", stream)
    log.info("shown")
    assert [line["event"] for line in lines(stream)] == ["shown"]


def test_library_logs_have_the_shape_of_our_own_and_keep_their_traceback() -> None:
    stream = io.StringIO()
    configure("info", stream)
    logging.getLogger("asyncio").info("chatter")
    try:
        raise ValueError("torn")
    except ValueError:
        logging.getLogger("asyncio").exception("task failed")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("task failed", "error", "asyncio")
    assert "ValueError: torn" in str(line["exception"])


def test_bytes_that_are_not_utf8_never_stop_a_line() -> None:
    stream = io.StringIO()
    configure("info", stream)
    structlog.get_logger().info("seen", number=b"44\xff".decode("utf-8", "surrogateescape"))
    assert lines(stream)[0]["number"] == "44\udcff"


def test_control_characters_of_a_caller_do_not_reach_the_terminal() -> None:
    stream = Terminal()
    configure("info", stream)
    structlog.get_logger().info("seen", number="44\x1b[2J")
    assert "\x1b[2J" not in stream.getvalue()
    assert r"44\x1b[2J" in stream.getvalue()


def test_a_traceback_on_the_terminal_shows_no_values() -> None:
    stream = Terminal()
    configure("info", stream)
    password = "".join(["very", "secret"])
    try:
        raise ValueError(f"torn after {len(password)} characters")
    except ValueError:
        structlog.get_logger().exception("task_failed")
    assert "ValueError: torn after 10 characters" in stream.getvalue()
    assert password not in stream.getvalue()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(KeyError):
        configure("loud", io.StringIO())


def test_one_line_for_a_source_and_minute() -> None:
    seldom = LogLimiter()
    assert [seldom.admits("192.0.2.1", at) for at in (0, 1, 59_999, 60_000, 60_001)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert seldom.admits("192.0.2.2", 60_001)


def test_places_of_a_host_have_some_lines_a_minute_and_the_others_are_counted() -> None:
    """Each of thousands of telephones behind one NAT had a line."""
    seldom = PlaceLimiter()
    assert [seldom.count("192.0.2.1", f"{port}", 10 * port) for port in (1, 1, 2, 3, 4, 5)] == [1, 0, 2, 1, 0, 0]
    assert seldom.count("192.0.2.2", "1", 60) == 1
    assert [seldom.count("192.0.2.1", "5", at) for at in (60_009, 60_010)] == [0, 4]
    assert [seldom.count("192.0.2.1", "6", at) for at in (200_000, 200_001)] == [1, 0]
    assert len(seldom) == 1


def test_places_of_more_hosts_than_fit_share_lines_and_bounded_memory() -> None:
    seldom = PlaceLimiter(hosts_max=10)
    admitted = [host for host in range(1_000) if seldom.count(f"192.0.2.{host}", "", 5)]
    assert admitted == list(range(11))
    assert len(seldom) == 11
    assert seldom.count("198.51.100.1", "", 120_005) == 1
    assert len(seldom) == 1


def test_a_scanner_with_many_addresses_shares_one_line_and_bounded_memory() -> None:
    seldom = LogLimiter(keys_max=10)
    admitted = [key for key in range(1_000) if seldom.admits(f"192.0.2.{key}", 5)]
    assert admitted == list(range(11))
    assert len(seldom) == 11
    assert seldom.admits("198.51.100.1", 60_005)
    assert len(seldom) == 1
