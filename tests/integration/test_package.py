"""A wheel built from the tree has what it needs; what ``make install-system`` installs of it works away from the tree.

Its virtual environment borrows this one's dependencies by a path file, so that nothing is fetched. vosd itself always
comes from the wheel.
"""

import os
import pty
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from doubles.service_manager import ServiceManager
from e2e.addresses import NETWORK

TREE = Path(__file__).parents[2]
CONFIGURATION = """
sip: {listen: ["udp:$network.9:14067"]}
control_socket: var/vosd.sock
""".replace("$network", NETWORK)

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_COMPILE": "0", "PIP_CONFIG_FILE": "/dev/null"}


def run(*words: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a program that has to succeed; return what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def borrowing_python(directory: Path) -> Path:
    """Make an interpreter whose virtual environments see this one's packages, as nothing can be fetched."""
    program = directory / "python"
    program.write_text(
        "#!/bin/sh\n"
        f'"{sys.executable}" "$@" --without-pip || exit 1\n'
        f'for packages in "$3"/lib/python*/site-packages; do echo "{sysconfig.get_path("purelib")}" '
        '> "$packages/borrowed.pth"; done\n'
    )
    program.chmod(0o755)
    return program


def contents_of(directory: Path) -> dict[str, int]:
    """Return every file below a directory but compiled ones, with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in directory.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=TREE)
    (built,) = directory.glob("*.whl")
    return built


class Staged(NamedTuple):
    """What ``make install-system`` has put below a directory, and what it printed."""

    root: Path
    install: Sequence[str | Path]
    """The command; it may be repeated."""
    release: Path
    """The first environment."""
    said: str

    @property
    def vosd(self) -> list[Path]:
        """The command to begin with: the program's own first line names the place where it will be one day."""
        return [self.release / "bin" / "python", self.release / "bin" / "vosd"]

    def environ(self, **changes: str) -> dict[str, str]:
        """Return what an installation from what is here needs; pip reads 0 of an option that begins with no as yes."""
        return {"DESTDIR": str(self.root), **OFFLINE, **changes}


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """Install once; bytecode is made of what is imported, which is less than all."""
    directory = tmp_path_factory.mktemp("staged")
    root = directory / "root"
    install = ["make", "--no-print-directory", "install-system", f"PYTHON={borrowing_python(directory)}"]
    # root of a hardened machine has such a mask, and the user of the service runs what is installed
    said = run(
        "sh",
        "-c",
        'umask 077; exec "$@"',
        "sh",
        *install,
        cwd=TREE,
        environ={"DESTDIR": str(root), "PREFIX": "/opt/vosd", **OFFLINE},
    )
    (release,) = (root / "opt/vosd/releases").iterdir()
    return Staged(root, install, release, said)


def test_migrations_examples_and_licence_travel_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "vosd/api/console_files/index.html" in names
    assert "vosd/_migrations/env.py" in names
    assert any(name.startswith("vosd/_migrations/versions/") and name.endswith(".py") for name in names)
    assert "vosd/_examples/vosd.yaml" in names
    assert "vosd/_examples/vosd.service" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


def test_the_metadata_states_ranges_and_the_pins_lie_within(wheel: Path) -> None:
    from packaging.metadata import Metadata
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    stated = Metadata.from_email(archive.read(name)).requires_dist or []
    lines = (TREE / "requirements.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if "==" in line)
    pinned = {canonicalize_name(name): version for name, version in pins}
    for requirement in stated:
        assert not any(specifier.operator == "==" for specifier in requirement.specifier)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement
    assert {"vosd"}.isdisjoint(Requirement(line).name for line in lines if "==" in line)


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "journal"])
def test_an_installed_vosd_migrates_and_runs_away_from_the_tree(
    staged: Staged, tmp_path: Path, *, is_terminal: bool
) -> None:
    where = "import vosd; print(vosd.__file__)"
    assert run(staged.vosd[0], "-c", where, cwd=tmp_path).startswith(str(staged.release))

    (tmp_path / "vosd.yaml").write_text(CONFIGURATION)
    run(*staged.vosd, "migrate", "-c", "vosd.yaml", cwd=tmp_path)
    manager = ServiceManager(str(tmp_path / "notify"))
    environ = {**os.environ, "NOTIFY_SOCKET": manager.address}
    reading, writing = pty.openpty() if is_terminal else os.pipe()
    daemon = subprocess.Popen([*staged.vosd, "run", "-c", "vosd.yaml"], cwd=tmp_path, env=environ, stdout=writing)
    try:
        manager.wait_for("READY=1")
        run(*staged.vosd, "status", "-c", "vosd.yaml", cwd=tmp_path)
        daemon.terminate()
        daemon.wait(60)
        os.set_blocking(reading, False)
        greeting = ""
        with suppress(BlockingIOError):  # nothing was written
            greeting = os.read(reading, 65_536).decode()
    finally:
        daemon.kill()
        manager.close()
        os.close(reading)
        os.close(writing)
    assert daemon.returncode == 0
    assert (f"takes calls at udp:{NETWORK}.9:14067" in greeting) is bool(greeting) is is_terminal


def test_without_a_configuration_the_installed_example_is_named(staged: Staged, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "VOSD_CONFIG"}
    done = subprocess.run(
        [*staged.vosd, "check"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    example = done.stderr.rpartition("an example to start from is ")[2].strip().rstrip(".")
    assert Path(example).read_bytes() == (TREE / "config/vosd.yaml").read_bytes()  # what is made of it is checked below


def test_install_system_puts_unit_configuration_and_program_in_place_and_keeps_an_edited_file(
    staged: Staged, tmp_path: Path
) -> None:
    root, release = staged.root, staged.release
    assert "systemctl enable --now vosd" in staged.said

    unit = (root / "etc/systemd/system/vosd.service").read_text()
    assert "ExecStart=/opt/vosd/bin/vosd run -c /etc/vosd/vosd.yaml" in unit
    program = root / "opt/vosd/bin/vosd"
    assert program.resolve() == (release / "bin/vosd").resolve()
    assert program.read_text().startswith(f"#!/opt/vosd/releases/{release.name}/bin/python")
    assert (root / "var/lib/vosd").stat().st_mode & 0o777 == 0o700
    assert (root / "usr/local/bin/vosd").readlink() == Path("/opt/vosd/bin/vosd")
    others = [each for each in (root / "opt").rglob("*") if not each.is_symlink()]
    assert not [each for each in others if each.stat().st_mode & 0o044 != 0o044]

    configuration = root / "etc/vosd/vosd.yaml"
    text = configuration.read_text()
    assert "sqlite+aiosqlite:////var/lib/vosd/vosd.db" in text
    assert "state_dir: /var/lib/vosd" in text
    assert "control_socket: /run/vosd/vosd.sock" in text
    run(*staged.vosd, "check", "-c", configuration, cwd=tmp_path)

    configuration.write_text("# mine\n" + text)
    command, of_another = root / "usr/local/bin/vosd", Path("/srv/trial/bin/vosd")
    command.unlink()
    command.symlink_to(of_another)
    before = contents_of(release)
    run(*staged.install, cwd=TREE, environ=staged.environ())
    assert command.readlink() == of_another
    assert configuration.read_text().startswith("# mine\n")

    upgraded = program.resolve().parents[1]
    assert {each.name for each in (root / "opt/vosd/releases").iterdir()} == {release.name, upgraded.name}
    assert upgraded.name != release.name
    assert contents_of(release) == before

    broken = staged.environ(PIP_CONSTRAINT="/nowhere")
    failed = subprocess.run(
        staged.install, cwd=TREE, env={**os.environ, **broken}, capture_output=True, check=False, timeout=300
    )
    assert failed.returncode != 0
    assert program.resolve().parents[1] == upgraded
    assert {each.name for each in (root / "opt/vosd/releases").iterdir()} == {release.name, upgraded.name}
