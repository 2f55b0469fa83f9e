"""Calls as lines for another program: times and money as a profile wants them."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from vosd.admin.export_lines import ExportLines
from vosd.admin.export_profile import ExportColumn, ExportProfile, TimeForm

BERLIN = ZoneInfo("Europe/Berlin")
AT_MS = 1_792_888_200_999
"""2026-10-25T00:30:00.999Z, in an hour that the clocks of Berlin repeat."""


def line(column: str, value: object, **terms: object) -> str:
    profile = ExportProfile(columns=(ExportColumn(column, column),), header=False, delimiter=";", **terms)  # type: ignore[arg-type]
    return ExportLines(profile, [column]).lines([(value,)]).decode()


@pytest.mark.parametrize(
    ("form", "zone", "said"),
    [
        (TimeForm.ISO, None, "2026-10-25T00:30:00.999Z"),
        (TimeForm.ISO, BERLIN, "2026-10-25T02:30:00.999+02:00"),
        (TimeForm.EPOCH_MS, BERLIN, "1792888200999"),
        (TimeForm.EPOCH, None, "1792888200"),
        ("%d.%m.%Y %H:%M:%S", None, "25.10.2026 00:30:00"),
        ("%d.%m.%Y %H:%M:%S", BERLIN, "25.10.2026 02:30:00"),
    ],
)
def test_a_time_has_the_form_and_the_zone_of_the_profile(form, zone, said):
    assert line("started_at", AT_MS, time_form=form, zone=zone) == f"{said}\n"


@pytest.mark.parametrize(
    ("decimals", "decimal_comma", "said"),
    [(None, False, "1.005"), (2, False, "1.01"), (0, False, "1"), (4, True, "1,0050"), (None, True, "1,005")],
)
def test_an_amount_has_the_decimals_and_the_sign_of_the_profile(decimals, decimal_comma, said):
    assert line("fee", Decimal("1.005"), decimals=decimals, decimal_comma=decimal_comma) == f"{said}\n"
