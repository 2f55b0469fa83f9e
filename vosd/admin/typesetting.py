"""PDF by typst: a template is compiled in a directory of its own, and what it prints is data to it, never markup."""

import asyncio
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from vosd.base.errors import VosError

TEMPLATE: Final = "template.typ"
"""Name of the file that is compiled."""
_LATIN_END: Final = "\u024f"
"""Last letter of those that the fonts which typst brings have in any case."""

_KEPT_FOR: Final = 11
"""Compilations behind which typst frees what one has left."""
_TURN: Final = threading.Lock()
"""One PDF is made at a time: each takes some 130 KB for a line of an invoice, and several threads print."""
_PRINTER: Final = ThreadPoolExecutor(1, thread_name_prefix="print")
"""The thread of a process that does other things, too: those that wait for it wait in no thread."""


_PRINTED: Final = r"""#show regex("[\\p{L}&&[^\\x{0}-\\x{24f}]]+"): it => [#metadata(it.text)<vosd-printed>#it]
"""
"""Beginning of a template that has typst note the letters behind these which it prints."""


class TypesettingError(VosError):
    """The template has a mistake; the message says which."""


class MissingLetterError(VosError):
    """No font has a letter that is printed: a PDF has a box in its place."""


async def printed_beside(make: Callable[[], bytes]) -> bytes:
    """Return a PDF that is made beside the event loop, behind those before it; one that is given up is not begun."""
    return await asyncio.get_running_loop().run_in_executor(_PRINTER, make)


def typeset(files: Mapping[str, bytes], inputs: Mapping[str, str], made_at: int, words: str) -> bytes:
    """Return a PDF; the same files and inputs always make the same bytes.

    Signs that are no letters, such as an emoji in a name, may be missing in it: a text is understood without them.

    Args:
        files: contents by name, the template among them; it can read these alone.
        inputs: values that the template reads as ``sys.inputs``.
        made_at: date of the file unless its template has none, UTC milliseconds.
        words: all text of the files that may be printed.

    Raises:
        TypesettingError: the template has a mistake.
        MissingLetterError: no font on the machine has a letter that is printed.
    """
    import typst  # only who prints needs it

    with _TURN, tempfile.TemporaryDirectory(prefix="vosd-print-") as name:
        directory = Path(name)
        for file, content in files.items():
            (directory / file).write_bytes(content)
        template = directory / TEMPLATE
        seconds = int(datetime.fromtimestamp(made_at // 1_000, tz=UTC).timestamp())
        try:
            made = typst.compile(template, root=directory, sys_inputs=dict(inputs), timestamp=seconds)
            if _missing_letter(words) is None:
                return made
            template.write_bytes(_PRINTED.encode() + files[TEMPLATE])
            printed = typst.query(template, "<vosd-printed>", field="value", root=directory, sys_inputs=dict(inputs))
        except (typst.TypstError, RuntimeError) as error:
            raise TypesettingError(str(error)) from error
        finally:
            _free_what_typst_keeps(directory)
    letter = _missing_letter("".join(msgspec.json.decode(printed, type=list[str])))
    if letter is not None:
        raise MissingLetterError(
            f"no font on the machine of the switch has the letter {letter}, which would be printed: install one, such "
            "as Debian's fonts-noto-cjk and fonts-noto-core"
        )
    return made


def _free_what_typst_keeps(root: Path) -> None:
    """Have typst free the layout of what it has printed: it keeps that of some ten documents, for one that is alike.

    Without a ``root`` it looks for the working directory, which may have been removed.
    """
    import typst

    # it reads fonts once, and not for each compilation
    empty = typst.Compiler(b"", root=root, ignore_system_fonts=True)
    for _ in range(_KEPT_FOR):
        empty.compile(b"")


def _missing_letter(text: str) -> str | None:
    """Return a letter of a text that no font of the machine has; None = there is none."""
    import typst

    letters = sorted({each for each in text if each > _LATIN_END and unicodedata.category(each).startswith("L")})
    if not letters:
        return None
    with tempfile.TemporaryDirectory(prefix="vosd-print-") as name:
        sample = Path(name) / TEMPLATE
        sample.write_text(" ".join(letters))
        try:
            typst.compile(sample, root=Path(name), pdf_standards="a-2b")  # which takes no text without a font
        except (typst.TypstError, RuntimeError) as error:
            return next((each for each in letters if each in str(error)), letters[0])
    return None
