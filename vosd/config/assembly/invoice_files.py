"""Files that ``invoices`` names: found beside the file that names them, and checked to be there."""

from pathlib import Path
from typing import Final

from vosd.catalogue.problems import ProblemList
from vosd.config.keys.installation import InstallationKeys
from vosd.config.reader.document import Section
from vosd.config.reader.includes import read_bytes

_SECTION: Final = "invoices"
_FILES: Final = ("template_file", "labels_file", "logo_file")
_BYTES_MAX: Final = 1 << 20


def with_invoice_files(keys: InstallationKeys, document: Section, problems: ProblemList) -> InstallationKeys:
    """Return the keys with the whole paths of the files; one that cannot be read is reported."""
    entry = document.entries.get(_SECTION)
    if entry is None or not isinstance(entry.node, Section):
        return keys
    found: dict[str, Path] = {}
    for key in _FILES:
        path = getattr(keys.invoices, key)
        if path is None:
            continue
        place = entry.node.place_of(key)
        found[key] = Path(place.file).absolute().parent / path
        read_bytes(found[key], place, f"{_SECTION}.{key}", problems, _BYTES_MAX)
    return keys.model_copy(update={_SECTION: keys.invoices.model_copy(update=found)}) if found else keys
