"""The right to change the network: workers of the relay get it, other processes that the switch executes do not."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import subprocess
from vosd.processes.rights import network_rights_for_children, withhold_network_rights
def right_of_a_child():
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
    return bool(int(dict(line.split(":\\t", 1) for line in status.splitlines())["CapEff"], 16) >> 12 & 1)
given = [right_of_a_child()]
withhold_network_rights()
given.append(right_of_a_child())
with network_rights_for_children():
    given.append(right_of_a_child())
given.append(right_of_a_child())
print(given)
"""
UNPRIVILEGED = ("--reuid=65534", "--regid=65534", "--clear-groups")
GIVEN = ("--inh-caps=+net_admin", "--ambient-caps=+net_admin")


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's rights are given by root")
@pytest.mark.parametrize(
    ("rights", "had"), [(GIVEN, [True, False, True, False]), ((), [False] * 4)], ids=["with the right", "without"]
)
def test_the_right_to_change_the_network_is_lent_only(rights, had):
    command = ("setpriv", *UNPRIVILEGED, *rights, sys.executable, "-c", PROGRAM)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(had), done.stderr
