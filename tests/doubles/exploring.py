"""How many examples a test takes: in every run as many as find mistakes soon, many more with ``make explore``."""

import os
from typing import Final

EXPLORES: Final = os.environ.get("HYPOTHESIS_PROFILE") == "explore"


def examples(usual: int, exploring: int) -> int:
    """Return the number for this run."""
    return exploring if EXPLORES else usual
