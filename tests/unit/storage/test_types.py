"""Values on their way into a column: exact, cut or refused, never changed in silence."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st
from sqlalchemy.dialects import mysql, sqlite

from vosd.storage.types import (
    CallKey,
    Moment,
    Money,
    Unstorable,
    call_key,
    descriptive,
    exact_money,
    identifying,
    moment_literal,
    moment_text,
    money_text,
    money_units,
)

SQLITE, MYSQL = sqlite.dialect(), mysql.dialect()


@given(st.decimals(min_value=-(10**10), max_value=10**10, places=8))
def test_money_survives_sqlites_integers(amount):
    assert Decimal(money_text(amount)) == amount
    assert "E" not in money_text(amount)
    units = Money().process_bind_param(amount, SQLITE)
    assert isinstance(units, int)
    assert Money().process_result_value(units, SQLITE) == amount
    read = Money().result_processor(SQLITE, None)
    assert read(units) == amount
    assert read(units) is read(units), "amounts that are read again and again are made once"
    assert read(None) is None


@pytest.mark.parametrize("amount", ["0.000000001", "NaN", "Infinity", "1E-9"])
def test_an_amount_that_would_be_rounded_is_refused(amount):
    with pytest.raises(Unstorable):
        money_units(Decimal(amount))
    for encode in (exact_money, money_text):
        with pytest.raises(Unstorable):
            encode(Decimal(amount))


def test_an_amount_beyond_64_bits_is_refused_for_sqlite():
    assert money_units(Decimal("92233720368.54775807")) == 2**63 - 1
    with pytest.raises(Unstorable, match="64 bits"):
        money_units(Decimal("92233720368.54775808"))


@given(st.integers(min_value=-62_000_000_000_000, max_value=253_000_000_000_000))
def test_a_moment_survives_both_notations(wall_ms):
    assert moment_literal(wall_ms) == f"'{moment_text(wall_ms)[:-1]}'"
    for dialect in (SQLITE, MYSQL):
        assert Moment().process_result_value(Moment().process_bind_param(wall_ms, dialect), dialect) == wall_ms


def test_moments_are_written_in_utc_with_milliseconds():
    assert moment_text(1_790_000_000_007) == "2026-09-21T14:13:20.007Z"
    assert Moment().process_bind_param(1_790_000_000_007, MYSQL) == "2026-09-21T14:13:20.007"


@given(st.uuids())
def test_a_call_id_survives_its_sixteen_bytes(identity):
    packed = CallKey().process_bind_param(str(identity), MYSQL)
    assert packed == identity.bytes
    assert CallKey().process_result_value(packed, MYSQL) == str(identity)


@pytest.mark.parametrize("call_id", ["", "1234", "zz" * 16, "0" * 34, "0190a1b2 c3d4"])
def test_what_is_no_uuid_is_no_call_id(call_id):
    with pytest.raises(Unstorable, match="is not a UUID"):
        call_key(call_id)


@given(st.text(st.characters()), st.integers(min_value=0, max_value=50))
def test_descriptive_text_is_always_storable_and_never_too_long(text, length):
    stored = descriptive(text, length)
    assert len(stored) <= length
    assert "\0" not in stored
    assert stored.encode().decode() == stored


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_ordinary_text_is_not_touched(text):
    assert descriptive(text, 50) == text


@pytest.mark.parametrize("name", ["a" * 9, "acme ", "ac\0me", "ac\udcffme"])
def test_a_name_is_stored_unchanged_or_not_at_all(name):
    with pytest.raises(Unstorable, match="cannot name anything"):
        identifying(name, 8)
    assert identifying("acme", 8) == "acme"
