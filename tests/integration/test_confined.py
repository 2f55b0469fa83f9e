"""A switch with the system calls that its unit leaves it: processes of its own as well."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doubles import unit_filter
from doubles.daemon import Daemon
from e2e.addresses import NETWORK

CONFIGURATION = f"""
node: sw1
sip: {{listen: ["udp:{NETWORK}.9:14066"]}}
database: {{url: "sqlite+aiosqlite:///$directory/vosd.db"}}
state_dir: $directory/var
control_socket: $directory/vosd.sock
number_lists: [{{name: barred, file: barred.txt}}]
rate_groups:
  - {{name: sell, rates_file: sell.csv}}
accounts:
  - {{id: acme, type: direct, rate_group: sell, overdraft_limit: "0"}}
mapping_gateways:
  - {{name: acme-pbx, account: acme, hosts: [127.0.0.1/32], callee_deny: "list:barred"}}
"""

BESIDE_THE_SWITCH = """
import os
from doubles.unit_filter import confine
from vosd.processes.life import give_way
confine()
give_way(19)
assert os.getpriority(os.PRIO_PROCESS, 0) == 19
"""

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd's list of system calls is missing"
)


def test_files_that_processes_of_their_own_read_are_read(tmp_path: Path, migrated: Path) -> None:
    (tmp_path / "barred.txt").write_text("".join(f"{number:012d}\n" for number in range(100_000)))
    (tmp_path / "sell.csv").write_text(
        "rate_prefix,billing_rate\n" + "".join(f"{number},0.01\n" for number in range(10_000, 30_000))
    )
    shutil.copy(migrated, tmp_path)
    with Daemon(tmp_path, CONFIGURATION) as daemon:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines())
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        explained = daemon.ask(
            "route", "explain", "--gateway", "acme-pbx", "--caller", "1000", "--callee", "000000099999"
        )
        assert "barred" in str(explained)


def test_the_units_list_of_system_calls_is_read() -> None:
    permitted = unit_filter._names()
    assert {"read", "sendmmsg", "prlimit64", "execve"} <= permitted
    assert permitted.isdisjoint({"setrlimit", "chown", "mount", "ptrace"})


def test_processes_beside_the_switch_give_way_to_calls() -> None:
    words = [sys.executable, "-c", BESIDE_THE_SWITCH]
    ended = subprocess.run(words, cwd=Path(__file__).parents[1], check=False)
    assert ended.returncode == 0
