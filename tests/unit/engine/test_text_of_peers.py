"""Text of peers that is not UTF-8 reaches every encoder of the switch, and stops none of them.

A new column of a CDR is covered at once: the tests fill all columns of text that are declared.
"""

import io
import json

import msgspec
import pytest
from doubles.data.records import answered_call, call_id
from doubles.fake_switch import FakeSwitch
from doubles.journals import crash_and_read, open_call, opened, write_ended
from doubles.kept_log import log_as_it_was
from doubles.sockets.loopback import Endpoint

from vosd.base.text import as_received, escaped, portable
from vosd.cdr.columns import RECORD_COLUMNS, csv_row, json_object
from vosd.cdr.kinds import ColumnKind
from vosd.cdr.ports import RejectedRecord
from vosd.control.client import RunningSwitch
from vosd.control.traces import CallUpdate, FindRunningCall, RunningCall
from vosd.engine.journal.quarantine import Quarantine
from vosd.obs.log import call_line, configure, write_call_lines
from vosd.storage.rows import prepare
from vosd.storage.writers import MySqlWriter, SqliteWriter

RAW = b"J\xfcrgen \xc3\xa9"
TEXT = RAW.decode("utf-8", "surrogateescape")
SHOWN = "J\\udcfcrgen \N{LATIN SMALL LETTER E WITH ACUTE}"
TEXTS = [
    column.name
    for column in RECORD_COLUMNS
    if column.kind in {ColumnKind.TEXT, ColumnKind.WORD} and column.size >= len(SHOWN)
]

ODD, ODD_SHOWN = dict.fromkeys(TEXTS, TEXT), dict.fromkeys(TEXTS, SHOWN)


def texts_of(record):
    return {name: getattr(record, name) for name in TEXTS}


def odd_open_call():
    call = open_call(1)
    return msgspec.structs.replace(call, record=msgspec.structs.replace(call.record, **ODD))


def test_a_record_is_journalled_and_read_as_the_database_shows_it(tmp_path):
    journal = opened(tmp_path)
    ended = answered_call(2, **ODD)
    journal.answered(odd_open_call())
    write_ended(journal, ended)
    found = crash_and_read(tmp_path)
    (unbooked,) = found.unbooked.values()
    assert texts_of(found.open_calls[call_id(1)].record) == texts_of(unbooked) == ODD_SHOWN
    for writer in (SqliteWriter(), MySqlWriter()):
        assert prepare(unbooked, writer.encode).cdr == prepare(ended, writer.encode).cdr


def test_a_record_is_kept_in_quarantine_and_written_as_json_and_csv(tmp_path):
    quarantine = Quarantine(tmp_path)
    quarantine.put([RejectedRecord(answered_call(1, **ODD), "why")])
    (refused,) = quarantine.read().records
    kept = refused.record
    assert texts_of(kept) == ODD_SHOWN
    assert json.loads(msgspec.json.encode(json_object(kept, 1))).items() >= ODD_SHOWN.items()
    assert csv_row(kept, 1).count(SHOWN) == len(TEXTS)


@pytest.mark.parametrize("to_terminal", [False, True])
def test_a_record_is_logged(to_terminal):
    stream = io.StringIO()
    stream.isatty = lambda: to_terminal
    with log_as_it_was():
        configure("info", stream)
        call_line(answered_call(1, **ODD))
        write_call_lines()
    stream.getvalue().encode()
    assert call_id(1) in stream.getvalue()


async def test_a_record_is_shown_by_a_command(tmp_path):
    record = answered_call(1, **ODD)
    update = CallUpdate("1", "1", "2", None, (), [], record, is_last=True)
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(FindRunningCall, RunningCall(["1"], update))
    async with switch:
        found = await RunningSwitch(tmp_path / "vosd.sock").ask(FindRunningCall("1"))
    assert json_object(found.update.record, 1).items() >= ODD_SHOWN.items()


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_a_record_comes_back_unchanged_from_a_snapshot(codec):
    call = odd_open_call()
    encoded = codec.encode(portable(call))
    assert as_received(codec.decode(encoded, type=type(call))) == call


def test_text_in_ascii_is_not_copied():
    call, where = open_call(1), (Endpoint("h", 1), ("a", 1))
    assert portable(call) is call
    assert portable(where) is where


def test_text_in_named_tuples_and_tuples_changes_and_their_types_stay():
    where = (Endpoint(TEXT, 1), (TEXT, None, 1))
    assert portable(where) != where
    assert as_received(portable(where)) == where
    assert type(portable(where)[0]) is Endpoint


def test_escaped_text_is_readable():
    assert escaped((TEXT, {"a": TEXT}, 1)) == [SHOWN, {"a": SHOWN}, 1]
