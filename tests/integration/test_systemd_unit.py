"""The shipped unit: accepted by systemd, and locked down to an exposure of at most 2.0."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "vosd.service"
API = UNIT.with_name("vosd-api.service")
BESIDE = UNIT.parents[1] / "config" / "systemd"
EXPOSURE_MAX = 2.0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing; make test installs it"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=120)


def with_program(unit: Path, directory: Path) -> Path:
    """Copy the unit with its program at a place where an executable is."""
    program = directory / "bin" / "vosd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = directory / unit.name
    copy.write_text(unit.read_text().replace("/opt/vosd/", f"{directory}/"))
    return copy


@pytest.mark.parametrize("unit", [UNIT, API, *sorted(BESIDE.glob("*.service"))], ids=lambda each: each.name)
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path, tmp_path: Path) -> None:
    copy = with_program(unit, tmp_path)
    verified = analyze("verify", "--man=no", copy)
    # systemd reads the units that ours names or shares a target with, too, and says what it holds of those
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if copy.name in line]) == (0, [])


def test_the_unit_may_write_to_a_directory_of_reports_as_its_comment_says(tmp_path: Path) -> None:
    copy = with_program(UNIT, tmp_path)
    commented = "\n#ReadWritePaths=/srv/reports\n"
    assert copy.read_text().count(commented) == 1
    copy.write_text(copy.read_text().replace(commented, commented.replace("#", "")))
    verified = analyze("verify", "--man=no", copy)
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if copy.name in line]) == (0, [])


@pytest.mark.parametrize("timer", sorted(BESIDE.glob("*.timer")), ids=lambda each: each.name)
def test_systemd_finds_nothing_wrong_with_the_timer_and_its_service(timer: Path, tmp_path: Path) -> None:
    with_program(timer.with_suffix(".service"), tmp_path)
    copy = shutil.copy(timer, tmp_path)
    verified = analyze("verify", "--man=no", copy)
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if timer.stem in line]) == (0, [])


@pytest.mark.parametrize("timer", sorted(BESIDE.glob("*.timer")), ids=lambda each: each.name)
def test_what_falls_into_a_stop_of_the_machine_is_made_up_for(timer: Path) -> None:
    assert "Persistent=true" in timer.read_text().splitlines()


def test_the_file_that_gives_media_workers_their_right_adds_one_capability(tmp_path: Path) -> None:
    copy = with_program(UNIT, tmp_path)
    added = tmp_path / "vosd.service.d" / "offload.conf"
    added.parent.mkdir()
    shutil.copy(BESIDE / "offload.conf", added)
    verified = analyze("verify", "--man=no", copy)
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if "vosd.service" in line]) == (0, [])
    assert re.findall("CAP_[A-Z_]+", added.read_text()) == ["CAP_NET_ADMIN", "CAP_NET_ADMIN"]


def test_a_wrong_key_would_be_found(tmp_path: Path) -> None:
    unit = with_program(UNIT, tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=10", "WatchdogSecs=10"))
    assert "WatchdogSecs" in analyze("verify", "--man=no", unit).stderr


@pytest.mark.parametrize("unit", [UNIT, API, *sorted(BESIDE.glob("*.service"))], ids=lambda each: each.name)
def test_the_unit_is_exposed_at_most_2_0(unit: Path) -> None:
    judged = analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(rf"Overall exposure level for {unit.name}: ([0-9.]+)", judged.stdout)
    assert found is not None, judged.stdout + judged.stderr
    assert float(found[1]) <= EXPOSURE_MAX


@pytest.mark.parametrize("unit", sorted(BESIDE.glob("*.service")), ids=lambda each: each.name)
def test_a_service_of_a_timer_leaves_what_the_running_switch_has_of_the_same_user(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert "User=vosd" in lines
    assert not [line for line in lines if line.startswith("RemoveIPC=")]


@pytest.mark.parametrize("unit", sorted(BESIDE.glob("*.service")), ids=lambda each: each.name)
def test_a_service_of_a_timer_has_the_system_calls_of_the_api(unit: Path) -> None:
    """Commands run with those of the switch in tests/integration/test_backup.py, which has one more."""
    filters = [
        [line for line in each.read_text().splitlines() if line.startswith(("SystemCall", "RestrictAddress"))]
        for each in (unit, API)
    ]
    assert filters[0] == filters[1]


def test_systemd_never_gives_up_starting_it() -> None:
    lines = UNIT.read_text().splitlines()
    assert {"StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=500ms"} <= set(lines)
    assert lines.index("StartLimitIntervalSec=0") < lines.index("[Service]")


@pytest.mark.parametrize("unit", [UNIT, API], ids=lambda each: each.name)
def test_a_service_goes_on_where_the_kernel_kills_a_process_beside_it_for_memory(unit: Path) -> None:
    assert "OOMPolicy=continue" in unit.read_text().splitlines()


@pytest.mark.parametrize("unit", [UNIT, API], ids=lambda each: each.name)
def test_the_journal_drops_no_lines_of_a_service(unit: Path) -> None:
    assert "LogRateLimitIntervalSec=0" in unit.read_text().splitlines()


def test_what_the_configuration_takes_from_the_environment_has_a_file_that_may_be_missing() -> None:
    assert "EnvironmentFile=-/etc/vosd/environment" in UNIT.read_text().splitlines()


def test_the_alarm_of_memory_may_read_what_is_free() -> None:
    assert "ProcSubset" not in re.sub("(?m)^#.*", "", UNIT.read_text())


@pytest.mark.parametrize("service", sorted(BESIDE.glob("*.service")), ids=lambda each: each.name)
def test_what_runs_by_a_timer_has_the_passwords_of_the_configuration(service: Path) -> None:
    lines = service.read_text().splitlines()
    assert "User=vosd" in lines
    assert any(re.fullmatch(r"EnvironmentFile=-/etc/vosd/[a-z-]*environment", line) for line in lines)


def test_the_only_capability_is_a_low_port() -> None:
    lines = UNIT.read_text().splitlines()
    capabilities = [line for line in lines if line.startswith(("CapabilityBoundingSet", "AmbientCap"))]
    assert capabilities == ["CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE"]
    assert "User=vosd" in lines
    assert "NoNewPrivileges=yes" in lines
    assert "ProtectSystem=strict" in lines
