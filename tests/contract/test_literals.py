"""No text can leave the quotes that the multi-row INSERT puts round it: the server reads back what was meant."""

from decimal import Decimal

import pymysql
import pytest
from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.storage.driver_errors import ContentRefused
from vosd.storage.types import descriptive
from vosd.storage.writers import MySqlWriter, _packets

pytestmark = pytest.mark.mariadb

encode = MySqlWriter().encode
anything = st.text(st.characters(), max_size=60)
"""Every code point, lone surrogates and NUL included."""


@pytest.fixture(scope="module")
def session(mariadb_server):
    with pymysql.connect(
        host="127.0.0.1",
        port=mariadb_server.port,
        user="vosd",
        password="secret",
        charset="utf8mb4",
        sql_mode="STRICT_ALL_TABLES",
    ) as connection:
        yield connection


def read_back(session, literals):
    with session.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"HEX({literal})" for literal in literals))
        return [bytes.fromhex(value).decode() for value in cursor.fetchone()]


@settings(max_examples=examples(180, 3_000), deadline=None)
@given(st.lists(anything, min_size=1, max_size=20))
@example(["'", '"', "\\", "\\'", "''", "%s", "\0", "\x1a", "\n\r\t", ""])
@example(["a" * 60 + "\\", "'; SELECT 1; --", "\ud800\udc00", "\N{TELEPHONE RECEIVER}", "\xbf'"])
def test_any_text_is_read_back_as_it_was_meant(session, texts):
    assert read_back(session, [encode.text(text, 255) for text in texts]) == [descriptive(text, 255) for text in texts]


@settings(max_examples=examples(60, 1_000), deadline=None)
@given(
    st.lists(st.decimals(min_value=-(10**11), max_value=10**11, places=8), min_size=1, max_size=20).map(
        lambda amounts: [*amounts, Decimal("1E+9"), Decimal("-0E-8")]
    )
)
def test_any_amount_is_read_back_to_the_last_digit(session, amounts):
    with session.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(encode.money(amount) for amount in amounts))
        assert list(cursor.fetchone()) == amounts


@given(st.lists(anything, max_size=30), st.integers(min_value=300, max_value=900))
def test_packets_hold_every_row_once_and_keep_to_their_room(texts, room):
    rows = [f"({encode.text(text, 255)})" for text in texts]
    packets = list(_packets(rows, room))
    assert ",".join(packets) == ",".join(rows)
    assert all(len(packet.encode()) <= room for packet in packets)


def test_a_row_that_no_packet_can_hold_is_refused():
    with pytest.raises(ContentRefused, match="max_allowed_packet"):
        list(_packets(["(1)", "x" * 100], 50))
