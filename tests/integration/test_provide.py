"""What set-up does about programs that a machine lacks: install them as root, name them otherwise."""

import os
import subprocess
from pathlib import Path

import pytest

PROVIDE = Path(__file__).parents[2] / "scripts" / "provide"


class Machine:
    """A machine whose ``apt-get`` and the like are stand-ins that write down what they were asked."""

    def __init__(
        self, directory: Path, *, user: int, first_install_fails: bool = False, system_state: str = "offline"
    ) -> None:
        self._programs = directory / "bin"
        self._programs.mkdir()
        self._asked = directory / "asked"
        self._asked.touch()
        fails = f"[ $1 = update ] || [ $(grep -c ^install {self._asked}) -gt 1 ]" if first_install_fails else "true"
        self._program("apt-get", f'echo "$@" >> {self._asked}; {fails}')
        self._program("id", f"echo {user}")
        self._program(
            "dpkg-query", "printf '/.\\n/lib/systemd/system/lost.service\\n/lib/systemd/system/lost@.service\\n'"
        )
        self._program("systemctl", f'[ $1 = is-system-running ] && echo {system_state} || echo "$@" >> {self._asked}')
        self._program("present", "true")

    def _program(self, name: str, script: str) -> None:
        program = self._programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def provide(self, *pairs: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PATH": f"{self._programs}:/usr/bin:/bin"}
        return subprocess.run([PROVIDE, *pairs], env=environ, capture_output=True, text=True, check=False, timeout=120)

    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines()


INSTALL = "install --yes --no-install-recommends lost-package bare-package"
WANTED = ("present:some-package", "vosd-lost-program:lost-package", "bare-package")


def test_nothing_is_installed_where_nothing_is_missing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, user=0)
    assert machine.provide("present:some-package").returncode == 0
    assert machine.asked() == []


def test_root_installs_what_is_missing_and_a_bare_package_always(tmp_path: Path) -> None:
    machine = Machine(tmp_path, user=0)
    assert machine.provide(*WANTED).returncode == 0
    assert machine.asked() == [INSTALL]


def test_package_lists_that_are_empty_are_fetched_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, user=0, first_install_fails=True)
    assert machine.provide(*WANTED).returncode == 0
    assert machine.asked() == [INSTALL, "update", INSTALL]


@pytest.mark.parametrize("system_state", ["running", "degraded"])
def test_a_service_that_comes_with_a_program_is_not_left_running(tmp_path: Path, system_state: str) -> None:
    machine = Machine(tmp_path, user=0, system_state=system_state)
    assert machine.provide(*WANTED).returncode == 0
    assert machine.asked() == [INSTALL, "disable --now lost.service"]


def test_without_privilege_the_packages_are_named(tmp_path: Path) -> None:
    machine = Machine(tmp_path, user=1000)
    refused = machine.provide(*WANTED)
    assert refused.returncode == 1
    assert refused.stderr == (
        "Missing: lost-package bare-package. Install as root: apt-get install lost-package bare-package\n"
    )
    assert machine.asked() == []
