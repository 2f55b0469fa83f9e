"""Two switches never share a state directory."""

import errno
import os
import stat
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from doubles.closed import closed

from vosd.config.places import installation_of, recorded_in
from vosd.daemon.claim import EndOfClaim, StateDirectory, StateDirectoryError, expected_usable, goes_on, was_killed
from vosd.engine.journal.earlier import read_earlier
from vosd.relay.client import has_left_workers


def test_the_directory_is_created_with_access_for_the_switch_only(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "var" / "lib")
    directory.claim()
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    directory.release()


def test_a_second_switch_gets_the_pid_of_the_first(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    first.claim()
    with pytest.raises(StateDirectoryError, match=rf"pid {os.getpid()}.*stop it or use another"):
        StateDirectory(tmp_path).claim()
    first.release()
    StateDirectory(tmp_path).claim()


def test_a_switch_that_died_leaves_no_lock_behind(tmp_path: Path) -> None:
    claim_and_die = (
        "import os, sys, pathlib; from vosd.daemon.claim import StateDirectory;"
        "from vosd.config.places import installation_of; path = pathlib.Path(sys.argv[1]);"
        "StateDirectory(path, installation_of(path / 'vosd.yaml', 'sw1')).claim(); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", claim_and_die, tmp_path], check=False)
    assert died.returncode == -9
    assert was_killed(tmp_path)
    assert goes_on(tmp_path)
    directory = StateDirectory(tmp_path)
    directory.claim()
    directory.release()
    assert was_killed(tmp_path), "a command has used it meanwhile, no switch"
    for ending in (EndOfClaim.OF_START, EndOfClaim.HANDED_OVER):
        switch = StateDirectory(tmp_path, installation_of(tmp_path / "vosd.yaml", "sw1"))
        switch.claim()
        switch.release(ending)
        assert was_killed(tmp_path), "the next start finds what this one has found, or nothing has claimed it since"
    switch.claim()
    assert goes_on(tmp_path), "it runs"
    switch.release()
    assert not was_killed(tmp_path)
    assert not goes_on(tmp_path)
    (tmp_path / "lock").write_text("4711\n")
    assert not was_killed(tmp_path), "an earlier version does not say how it has ended"


def test_a_switch_that_has_ended_in_order_or_runs_was_not_killed(tmp_path: Path) -> None:
    assert not was_killed(tmp_path)
    assert not goes_on(tmp_path)
    switch = StateDirectory(tmp_path, installation_of(tmp_path / "vosd.yaml", "sw1"))
    switch.claim()
    assert not was_killed(tmp_path)
    switch.release()
    assert not was_killed(tmp_path)
    assert recorded_in(tmp_path) == installation_of(tmp_path / "vosd.yaml", "sw1")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(StateDirectoryError, match=r"var/lib cannot be used"):
        StateDirectory(tmp_path / "var" / "lib").claim()


class TestTheDirectoryOfAnotherConfiguration:
    @pytest.fixture
    def first(self, tmp_path: Path) -> Path:
        """The configuration of a switch that ran on the directory and has stopped."""
        first = tmp_path / "first.yaml"
        first.touch()
        use(tmp_path / "var", first)
        return first

    def test_a_start_of_a_second_configuration_is_refused_and_says_what_to_do(
        self, tmp_path: Path, first: Path
    ) -> None:
        second = tmp_path / "second.yaml"
        second.touch()
        for _ in range(2):
            with pytest.raises(StateDirectoryError) as refused:
                use(tmp_path / "var", second)
            assert str(refused.value) == (
                f"state_dir {tmp_path}/var has the journal of the switch {installation_of(first, 'sw1')}; give this "
                f"configuration a state_dir of its own, or, if it replaces that one, rename or remove {first}"
            )
        assert recorded_in(tmp_path / "var") == installation_of(first, "sw1")
        use(tmp_path / "var", first)

    def test_a_configuration_that_was_moved_goes_on_with_its_directory(self, tmp_path: Path, first: Path) -> None:
        moved = first.rename(tmp_path / "moved.yaml")
        use(tmp_path / "var", moved)
        first.touch()
        with pytest.raises(StateDirectoryError, match=r"rename or remove .*/moved\.yaml"):
            use(tmp_path / "var", first)

    def test_another_name_of_the_node_or_of_the_same_file_is_the_same_configuration(
        self, tmp_path: Path, first: Path
    ) -> None:
        link = tmp_path / "link.yaml"
        link.symlink_to(first)
        use(tmp_path / "var", link, node="sw2")
        assert recorded_in(tmp_path / "var") == installation_of(first, "sw2")

    def test_a_directory_of_a_version_that_recorded_none_is_taken(self, tmp_path: Path, first: Path) -> None:
        (tmp_path / "var" / "lock").write_text("4711\n")
        second = tmp_path / "second.yaml"
        use(tmp_path / "var", second)
        assert recorded_in(tmp_path / "var") == installation_of(second, "sw1")


def use(state_dir: Path, config: Path, node: str = "sw1") -> None:
    directory = StateDirectory(state_dir, installation_of(config, node))
    directory.claim()
    directory.release()


def test_a_start_by_the_wrong_user_says_that_it_may_not_use_the_directory(tmp_path: Path) -> None:
    with closed(tmp_path):
        assert not has_left_workers(tmp_path / "state")  # is asked before
        with pytest.raises(StateDirectoryError, match="make it writable for vosd"):
            StateDirectory(tmp_path / "state").claim()


def test_a_file_of_the_directory_that_belongs_to_another_user_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a trial by root: ``run`` as the user of the switch meets files of root."""
    state, journal = Path("state"), Path("state") / "journal"  # pytest's own directories are closed to others
    (tmp_path / journal).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for directory in (tmp_path, state):
        directory.chmod(0o777)
    for file in (state, journal):
        said = "this user: run this as the user.*; if it is that, chown -R [a-z0-9]+: state$"
        said = f"^{file} may not be used by {said if os.geteuid() == 0 else 'its own user'}"
        with closed(file), pytest.raises(StateDirectoryError, match=said), expected_usable(state):
            os.listdir(file)  # noqa: PTH208 - as the journal does
    with closed(journal), pytest.raises(PermissionError), expected_usable(tmp_path / "other"):
        os.listdir(journal)  # noqa: PTH208
    segment = journal / "journal-00000001.log"
    segment.touch()
    said = f"^{segment} may not be used by "
    with closed(segment), pytest.raises(StateDirectoryError, match=said), expected_usable(state):
        read_earlier(journal)
    if os.geteuid() == 0:
        os.chown(state, 65_534, -1)
    with closed(state), pytest.raises(StateDirectoryError, match=r"by its own user: chmod -R u\+rwX state$"):
        StateDirectory(state).claim()


def test_a_disk_to_which_the_unit_gives_no_way_is_told_by_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: int) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StateDirectoryError, match=f"Read-only file system; .* ReadWritePaths={tmp_path} "):
        StateDirectory(tmp_path).claim()


@pytest.mark.parametrize("flags", [os.ST_RDONLY, 0])
def test_a_read_only_disk_is_not_one_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int
) -> None:
    """No user may write there; what writes first says so. As with ``ProtectSystem=strict`` outside /var/lib/vosd."""
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=flags))
    with nullcontext() if flags else pytest.raises(StateDirectoryError, match="chmod"), expected_usable(tmp_path):
        pass


@pytest.mark.parametrize(
    ("blocks", "files", "is_its_own"), [(0, 100, True), (1_000_000, 0, True), (1_000_000, 100, False)]
)
def test_a_full_disk_is_that_of_the_directory_where_no_other_file_is_named_and_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, is_its_own: bool
) -> None:
    disk = SimpleNamespace(f_flag=0, f_bavail=blocks, f_frsize=4_096, f_files=200, f_favail=files)
    monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises((StateDirectoryError, OSError)) as raised,
        expected_usable(tmp_path),
    ):
        full.write(b"x")
    said = str(raised.value)
    assert said.startswith(f"state_dir {tmp_path}: No space left") is is_its_own
    assert ("make room there" in said) is is_its_own
