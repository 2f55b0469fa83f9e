"""Journals of an earlier version go on as that version would have continued them."""

from pathlib import Path
from zipfile import ZipFile

import earlier_journals
import pytest

ARCHIVE = Path(__file__).with_name("earlier_journals.zip")
with ZipFile(ARCHIVE) as _archive:
    NAMES = sorted({str(Path(name).parent) for name in _archive.namelist()})


@pytest.mark.parametrize("name", NAMES)
def test_a_journal_of_an_earlier_version_goes_on_as_it_did_there(name, tmp_path):
    with ZipFile(ARCHIVE) as archive:
        files = {Path(each).name: archive.read(each) for each in archive.namelist() if str(Path(each).parent) == name}
    expected = files.pop(earlier_journals.RESULT).decode()
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    assert earlier_journals.continued(tmp_path, int(Path(name).name)) == expected
