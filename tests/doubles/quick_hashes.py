"""Hashes of passwords that are made in no time, for tests of log-ins: a real one takes a core 50 to 100 ms.

How hard a real one is to compute stands in ``tests/unit/office/test_second_factor.py``.
"""

from collections.abc import Mapping
from typing import Final

QUICK: Final[Mapping[str, object]] = {
    "_MEMORY_KIB": 8,
    "_PASSES": 1,
    "_OF_NO_PERSON": "$argon2id$v=19$m=8,t=1,p=1$cfzyG1MtTo+yv1BHI0YH8Q$oQhjWHBce9Y+XaD5iX3DwVCSo+4N9wEkI2zin/9FGbA",
}
"""Names of ``vosd.admin.office.passwords`` with their values."""
