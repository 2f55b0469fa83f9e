"""Documents of calls are stored packed and read as they were written."""

from hashlib import sha256

import pytest
from doubles.data.builders import applied_rate, rating_policy
from hypothesis import given, strategies as st

from vosd.billing.rater import itemise
from vosd.storage import documents
from vosd.storage.documents import MARK, packed, unpacked

RATES = (
    applied_rate("0.012345678901", 1, tax_rate="7.7"),
    applied_rate("0.15", 60, first_rate="0.21", first_duration=180, connection_fee="0.0149", minimum_charge="0.22"),
    applied_rate("0.15", 59, sections="0.10@60;0.18@120;0.25@180", policy=rating_policy(section_cap=False)),
)
STEPS = [f'{{"customer":{itemise(rate, 250_000)[1]},"vendor":{itemise(RATES[0], 250_000)[1]}}}' for rate in RATES]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_any_document_is_read_as_it_was_written(text):
    assert unpacked(packed(text)) == text
    assert unpacked(packed(text * 20)) == text * 20


@pytest.mark.parametrize("steps", STEPS)
def test_the_steps_of_two_charges_take_a_quarter_of_their_text(steps):
    assert len(steps) > 1000
    assert packed(steps).isascii()
    assert len(packed(steps)) < len(steps) / 4
    assert unpacked(packed(steps)) == steps


def test_short_documents_and_those_of_earlier_versions_are_as_they_are():
    assert packed("{}") == "{}"
    assert unpacked(STEPS[0]) == STEPS[0]


def test_a_text_that_looks_packed_is_packed():
    assert unpacked(packed(MARK)) == MARK
    assert unpacked(packed(packed(STEPS[0]))) == packed(STEPS[0])


@pytest.mark.parametrize("damaged", [MARK, f"{MARK}A", f"{MARK}!!!!", f"{MARK}AAAA", packed(STEPS[0])[:-9]])
def test_a_damaged_document_is_shown_as_it_is_stored(damaged):
    assert unpacked(damaged) == damaged


def test_the_text_that_documents_are_packed_with_never_changes():
    """Another one needs another mark: every document in every database was packed with it."""
    assert sha256(documents._USUAL).hexdigest() == "f2f00537e28bab06a21794f59b4fbfb51d8e18aa29e23400ebedbfb425442cc6"
