"""Which running calls a command means."""

import msgspec
import pytest

from vosd.control.calls import CallSelection, CallSnapshot

CALL = CallSnapshot(
    call_id="01a0c450-6c01-7000-8000-000000000001",
    state="talking",
    mapping_gateway="acme-pbx",
    routing_gateway="carrier-a",
    customer_account="acme",
    vendor_account="carrier",
    caller="1000",
    callee="442012",
    started_at=1,
    answered_at=None,
    age_s=60,
    talk_s=None,
)


@pytest.mark.parametrize(
    "given",
    [
        {"call_id": "01a0c450-6c01-7000-8000-000000000001"},
        {"call_id": "01a0c450-6c01"},
        {"account": "acme"},
        {"account": "carrier"},
        {"gateway": "acme-pbx"},
        {"gateway": "carrier-a"},
        {"prefix": "4420"},
        {"prefix": "+4420"},
        {"older_than_s": 59},
        {"account": "acme", "gateway": "carrier-a", "prefix": "44", "older_than_s": 0},
    ],
    ids=str,
)
def test_a_call_matches_when_all_given_fields_match(given: dict[str, str | int]) -> None:
    assert msgspec.convert(given, CallSelection).fits(CALL)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"call_id": "01a0c450-6c02"},
        {"account": "acme-pbx"},
        {"gateway": "acme"},
        {"prefix": "20"},
        {"older_than_s": 60},
        {"older_than_s": 0},
        {"prefix": "+"},
        {"prefix": ""},
        {"account": "acme", "prefix": "+"},
        {"account": "acme", "gateway": "carrier-b"},
    ],
    ids=str,
)
def test_a_call_does_not_match_when_a_field_differs_or_none_is_given(given: dict[str, str | int]) -> None:
    assert not msgspec.convert(given, CallSelection).fits(CALL)


def test_a_criterion_that_does_not_exist_is_refused_rather_than_ignored() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"acount": "acme"}, CallSelection)
