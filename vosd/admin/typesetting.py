"""PDF by typst: a template is compiled in a directory of its own, and what it prints is data to it, never markup."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError

TEMPLATE: Final = "template.typ"
"""Name of the file that is compiled."""


class TypesettingError(VosError):
    """The template has a mistake; the message says which."""


def typeset(files: Mapping[str, bytes], inputs: Mapping[str, str], made_at: int) -> bytes:
    """Return a PDF; the same files and inputs always make the same bytes.

    Args:
        files: contents by name, the template among them; it can read these alone.
        inputs: values that the template reads as ``sys.inputs``.
        made_at: date of the file, UTC milliseconds.

    Raises:
        TypesettingError: the template has a mistake.
    """
    import typst  # only who prints needs it

    with tempfile.TemporaryDirectory(prefix="vosd-print-") as name:
        directory = Path(name)
        for file, content in files.items():
            (directory / file).write_bytes(content)
        seconds = int(datetime.fromtimestamp(made_at // 1_000, tz=UTC).timestamp())
        try:
            return typst.compile(directory / TEMPLATE, root=directory, sys_inputs=dict(inputs), timestamp=seconds)
        except (typst.TypstError, RuntimeError) as error:
            raise TypesettingError(str(error)) from error
