"""What becomes of tests that need network namespaces where there are none: left out for a reason, never silently."""

import os
from typing import Final, NoReturn

import pytest

WITHOUT: Final = "VOSD_TESTS_WITHOUT_NAMESPACES"
"""Set to 1 where root may not make them, as in most containers: then these tests are left out there too."""


def do_without(reason: str) -> NoReturn:
    """Leave the test out, or fail it where root runs it and nobody has said that it may be left out.

    A suite that is green must have seen the NAT, unless somebody knows that it has not.
    """
    if os.geteuid() == 0 and os.environ.get(WITHOUT) != "1":
        pytest.fail(f"no network namespaces: {reason}. {WITHOUT}=1 leaves out what needs them", pytrace=False)
    pytest.skip(f"no network namespaces: {reason}")
