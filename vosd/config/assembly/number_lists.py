"""Number lists and number pools: from keys to the definitions of the catalogue, their files read."""

from pathlib import Path
from typing import Final

from vosd.catalogue.doubtful_trunks import bare_number
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.versions import version_of
from vosd.config.assembly.conversion import full_conversion, require_all_used
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.number_files import read_number_file
from vosd.config.keys.number_lists import NumberListKeys, NumberPoolKeys
from vosd.config.reader.includes import read_text
from vosd.config.reader.numbers import telephone_number
from vosd.routing.number_lists import NumberList, packed
from vosd.routing.pools import NumberPool

_POOL_BYTES_MAX: Final = 64 * 1024 * 1024
_COMMENT: Final = "#"
_NUMBER: Final = telephone_number()

_POOL: Final = full_conversion(NumberPoolKeys, NumberPool, by_hand={"numbers": "numbers", "file": "numbers"})
_IN_A_LIST: Final = "the list"
require_all_used(NumberListKeys, elsewhere=dict.fromkeys(("name", "patterns", "file"), _IN_A_LIST))


def number_list(written: Written[NumberListKeys], problems: ProblemList) -> NumberList:
    """Return a list; one whose file cannot be used is reported and empty."""
    keys = written.thing
    found = None
    if keys.file is not None:
        place, key = written.section.place_of("file"), f"{written.label}.file"
        found = read_number_file(Path(place.file).parent / keys.file, place, key, problems)
    if found is None:
        lines = packed(keys.patterns)
        found = NumberList(lines.numbers, lines.others, version_of(keys.patterns))
    if not found:
        problems.warning(written.section.place, written.label, "at least one number or prefix")
    if found.separated is not None:
        problems.warning(written.section.place, written.label, bare_number(found.separated), found.separated)
    return found


def number_pool(written: Written[NumberPoolKeys], problems: ProblemList) -> NumberPool:
    """Return a pool with its numbers."""
    keys = written.thing
    numbers = keys.numbers if keys.file is None else _numbers_in(keys.file, written, problems)
    if not numbers:
        problems.warning(written.section.place, written.label, "at least one number")
    return _POOL(keys, numbers=numbers)


def _numbers_in(path: Path, written: Written[NumberPoolKeys], problems: ProblemList) -> tuple[str, ...]:
    place, key = written.section.place_of("file"), f"{written.label}.file"
    file = Path(place.file).parent / path
    text = read_text(file, place, key, problems, _POOL_BYTES_MAX) or ""
    found = []
    for line, raw in enumerate(text.splitlines(), start=1):
        number = raw.strip()
        if not number or number.startswith(_COMMENT):
            continue
        try:
            found.append(str(_NUMBER.read(number)))
        except ValueError:
            problems.error(place._replace(file=str(file), line=line), key, _NUMBER.expected, number)
    return tuple(found)
