"""PDF by typst: a template is compiled in a directory of its own, and what it prints is data to it, never markup."""

import tempfile
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError

TEMPLATE: Final = "template.typ"
"""Name of the file that is compiled."""
_LATIN_END: Final = "\u024f"
"""Last letter of those that the fonts which typst brings have in any case."""


class TypesettingError(VosError):
    """The template has a mistake; the message says which."""


def typeset(files: Mapping[str, bytes], inputs: Mapping[str, str], made_at: int, *, needs_fonts: bool = False) -> bytes:
    """Return a PDF; the same files and inputs always make the same bytes.

    Args:
        files: contents by name, the template among them; it can read these alone.
        inputs: values that the template reads as ``sys.inputs``.
        made_at: date of the file, UTC milliseconds.
        needs_fonts: refuse text that no font has; PDF/A takes none of it.

    Raises:
        TypesettingError: the template has a mistake, or no font has a part of its text.
    """
    import typst  # only who prints needs it

    with tempfile.TemporaryDirectory(prefix="vosd-print-") as name:
        directory = Path(name)
        for file, content in files.items():
            (directory / file).write_bytes(content)
        seconds = int(datetime.fromtimestamp(made_at // 1_000, tz=UTC).timestamp())
        try:
            return typst.compile(
                directory / TEMPLATE,
                root=directory,
                sys_inputs=dict(inputs),
                timestamp=seconds,
                pdf_standards="a-2b" if needs_fonts else [],
            )
        except (typst.TypstError, RuntimeError) as error:
            raise TypesettingError(str(error)) from error


def missing_letter(text: str) -> str | None:
    """Return a letter of a text that no font of the machine has, in whose place a PDF has a box; None = there is none.

    Signs that are no letters, such as an emoji in a name, are not looked for: a text is understood without them.
    """
    letters = sorted({each for each in text if each > _LATIN_END and unicodedata.category(each).startswith("L")})
    if not letters:
        return None
    try:
        typeset({TEMPLATE: " ".join(letters).encode()}, {}, 0, needs_fonts=True)
    except TypesettingError as error:
        return next((each for each in letters if each in str(error)), letters[0])
    return None
