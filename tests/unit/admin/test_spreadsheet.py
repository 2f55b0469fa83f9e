"""Figures of a spreadsheet as they stand in its file."""

import re
import zipfile
from decimal import Decimal
from io import BytesIO

import pytest

from vosd.admin.spreadsheet import workbook


@pytest.mark.parametrize("figure", ["0.009", "0.0778", "-0.0632", "1469.135682", "5", "0.1", "-12", "0.00000001"])
def test_a_program_reads_the_amount_that_was_written(figure: str) -> None:
    """With the 16 digits of the library 0.009 is 0.008999999999999999."""
    file = workbook("page", {"amount": True}, [{"amount": Decimal(figure)}])
    with zipfile.ZipFile(BytesIO(file)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert [Decimal(each) for each in re.findall(r'<c r="A2"[^>]*><v>([^<]*)</v>', sheet)] == [Decimal(figure)]
