"""The test messages of RFC 4475 and RFC 5118 as data (``tests/vectors/torture``), by file name without suffix."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "torture"
MESSAGES: Final = {path.stem: path.read_bytes() for path in FOLDER.glob("*.sip")}


def name_of(stem: str) -> str:
    """Return the RFC's own name of a message: what follows RFC and section."""
    return stem.split("_", 2)[2]
