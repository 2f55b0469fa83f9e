"""A rate file is compiled to the rates, and judged with the messages, that reading it row by row gives."""

from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, strategies as st

from vosd.catalogue.problems import ConfigError
from vosd.config.assembly import rate_cells, rate_orders
from vosd.config.load import load

COLUMNS = {
    "prefix": ["44", "4420", " 49 ", "*", "", "+44", "4.4E+10", "12345678901234567", "1" * 32, "1" * 33,
               "٤٤", "44\u00a0"],
    "billing_rate": ["0.01", " 0.0120", "0", "-0", "-1", "+0.5", "1e-3", "", "0.123456789", "0.12345678", "2000",
                     "99999999999.12345678", "0.000001", "0.005", '"1.5\n2"', '"1\n0.2"', '"0.7\n"', '"\n0.7\r\n"'],
    "area": ["", "UK", '"Kingdom, United"', "M\u00fcnchen", "a" * 201, "\u0007", '"two\nlines"', "no\u00a0break"],
    "rate_type": ["", "net", "INTERNATIONAL", "international", "satellite"],
    "billing_cycle": ["", "1", "60", "0", "3601", "x"],
    "interval": ["", "30/6", "1/1", "0/6"],
    "first_rate": ["", "0.30", "2000", "x"],
    "first_duration": ["", "0", "60", "86401"],
    "tax_rate": ["", "19", "7.70", "101"],
    "connection_fee": ["", "1", "0.05"],
    "minimum_charge": ["", "5", "0.10"],
    "memo": ["", "from the carrier", "m" * 1001],
    "area_prefix": ["", "44", "x"],
    "effective_time": ["", "2026-01-01"],
}  # fmt: skip
GROUP = """\
parameters: {{SERVER_BILLING_FEE_PRECISION: {precision}, SERVER_BILLING_FEE_UNIT: "{unit}"}}
rate_groups: [{{name: g, price_per: {per}, rates_file: rates.csv}}]
"""


@st.composite
def files(draw: st.DrawFn) -> str:
    others = draw(st.lists(st.sampled_from([*COLUMNS][2:]), unique=True, max_size=4))
    names = draw(st.permutations(["prefix", "billing_rate", *others]))
    is_usual = draw(st.booleans())  # most rows of a real file are
    lines = [",".join(names)]
    for _ in range(draw(st.integers(0, 12))):
        cells = [draw(st.sampled_from(COLUMNS[name][: 3 if is_usual else None])) for name in names]
        if draw(st.integers(0, 15)) == 0:
            cells = draw(st.sampled_from([[], cells[1:], [*cells, "1"], [""] * len(cells)]))
        lines.append(",".join(cells))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n", '\n"']))


def outcome(directory: Path, small_bytes: int) -> object:
    """Return everything that can be seen of a configuration: rates, problems, the report."""
    before, rate_orders.SMALL_BYTES = rate_orders.SMALL_BYTES, small_bytes
    try:
        loaded = load(directory / "vosd.yaml", {})
    except ConfigError as error:
        # Rows with mistakes have to be mended first; only then is a compiled file judged by its prices.
        return [text for text in map(str, error.problems) if "more cannot be booked" not in text and "suit" not in text]
    finally:
        rate_orders.SMALL_BYTES = before
    table = loaded.catalogue.rate_groups["g"].table
    rates = {prefix: str(table.find("" if prefix == "*" else prefix, 0)) for prefix in table.prefixes()}
    return (
        rates,
        table.size,
        list(map(str, loaded.problems)),
        list(map(str, chain.from_iterable(loaded.reports_by_group()))),
    )


@pytest.mark.parametrize("per", ["minute", "cycle"])
@given(
    text=files(),
    precision=st.sampled_from([0, 2, 6, 8]),
    unit=st.sampled_from(["0.000001", "0.05", "2000"]),
    at_once=st.sampled_from([1, 40, 1 << 16]),
)
@example("prefix,billing_rate\n" + "x,1\n" * 130 + "44,1\n" * 80, 6, "0.000001", 1 << 16)
@example(
    "prefix,billing_rate,area\n" + "".join(f"{n},0.5,{n}\n" for n in range(9_000)) + "77,1,\n5,x,\n",
    6,
    "0.000001",
    1 << 16,
)
@example('prefix,billing_rate\n44,0.5\n45,"1.5\n2"\n46,0.7\n', 6, "0.000001", 1 << 16)
@example("prefix;billing_rate\n44;0.5\n\n;\n49;1\n", 6, "0.01", 1 << 16)
@example("prefix,billing_rate\n44,9999999999\n", 6, "0.01", 1 << 16)
def test_compiling_a_file_has_the_outcome_of_reading_its_rows(per, text, precision, unit, at_once):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_cells, "BYTES_AT_ONCE", at_once)
        directory = Path(name)
        (directory / "vosd.yaml").write_text(GROUP.format(per=per, precision=precision, unit=unit))
        (directory / "rates.csv").write_text(text, newline="")
        assert outcome(directory, -1) == outcome(directory, 1 << 30)


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """A table with keys of two words, read from a file however few rows it has."""
    monkeypatch.setattr(rate_orders, "SMALL_BYTES", -1)
    (tmp_path / "vosd.yaml").write_text(GROUP.format(per="minute", precision=6, unit="0.000001"))
    (tmp_path / "rates.csv").write_text("prefix,billing_rate\n44,0.1\n4490,0.2\n12345678901234567,0.3\n")
    return load(tmp_path / "vosd.yaml", {}).catalogue.rate_groups["g"].table


def test_a_prefix_of_many_digits_takes_no_number_from_a_short_one(compiled):
    found = [compiled.find(number, 0).prefix for number in ("4491", "44901", "123456789012345678")]
    assert found == ["44", "4490", "12345678901234567"]


def test_a_table_has_a_prefix_only_if_a_rate_is_of_exactly_that_one(compiled):
    there, not_there = ["44", "4490", "12345678901234567"], ["*", "4", "449", "44900", "1234567890123456"]
    assert [compiled.has(prefix) for prefix in there + not_there] == [True] * 3 + [False] * 5
