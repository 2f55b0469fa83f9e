"""What becomes of tests that need network namespaces where there are none: left out for a reason, never silently."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NoReturn

import pytest
from doubles.home import NoNamespacesError
from doubles.two_networks import TwoNetworks

MASQUERADE: Final = (
    "mount --make-rslave / && "
    "nft add table ip probe && "
    "nft 'add chain ip probe out { type nat hook postrouting priority 100 ; }' && "
    "nft add rule ip probe out masquerade"
)
"""What `ip` does with mounts, and a router of ours with packets; in namespaces that are gone with the command."""


def do_without(reason: str) -> NoReturn:
    """Leave the test out where the machine allows no namespace with NAT; fail it where it does.

    A suite that is green must have seen the NAT, unless it says why it has not.
    """
    if machine_has_nat():
        pytest.fail(f"no network namespaces, though this machine has them: {reason}", pytrace=False)
    pytest.skip(f"no network namespaces: {reason}")


@contextmanager
def forwarding_networks() -> Iterator[TwoNetworks]:
    """Yield networks whose kernel can forward packets where they arrive; leave the tests out where there are none."""
    with ExitStack() as opened:
        try:
            made = opened.enter_context(TwoNetworks())
        except NoNamespacesError as reason:
            do_without(str(reason))
        if (lacking := made.lacks()) is not None:
            pytest.skip(f"the kernel cannot forward where packets arrive: {lacking}")
        yield made


def machine_has_nat() -> bool:
    """Return whether this user may make a network namespace here, with an address translation in it."""
    try:
        probe = subprocess.run(
            ("unshare", "--net", "--mount", "--propagation=unchanged", "sh", "-c", MASQUERADE),
            capture_output=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
