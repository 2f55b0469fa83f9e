"""Decimals by currency in tests/vectors/billing.json: one call with four decimals and with two."""

import json
from decimal import Decimal

import pytest

from golden.worked import BILLING
from vosd.billing.rater import rate_call
from vosd.config.load import load

BY_CURRENCY = [each for each in BILLING if each["note"].startswith("currency precision")]


@pytest.mark.parametrize("vector", BY_CURRENCY, ids=lambda vector: vector["id"])
def test_a_fee_has_the_decimals_of_its_currency(vector, tmp_path):
    given, expect = vector["given"], vector["expect"]
    price = [{"prefix": "44", "billing_rate": given["rate_per_min"]}]
    path = tmp_path / "vosd.yaml"
    document = {
        "currencies": [{"code": "XAA", "fee_precision": "4"}, {"code": "XBB", "fee_precision": "2"}],
        "rate_groups": [{"name": code, "currency": code, "rates": price} for code in ("XAA", "XBB")],
    }
    path.write_text(json.dumps(document))
    groups = load(path, {}).catalogue.rate_groups
    fees = [rate_call(groups[code].find("4420", 0), 1000 * given["billed_s"]).fee for code in ("XAA", "XBB")]
    assert fees == [Decimal(expect["fee_4dp"]), Decimal(expect["fee_2dp"])]


def test_there_is_such_an_example():
    assert len(BY_CURRENCY) == 1
