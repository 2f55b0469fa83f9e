"""The real process: start, reload, stop, and every start that must not succeed."""

import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from doubles import daemon as forked
from doubles.certificates import Authority, Certificate
from doubles.full_disk import fill, mounted
from doubles.process.daemon import Daemon, DaemonError
from doubles.service_manager import ServiceManager
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from vosd import __version__
from vosd.cli.main import main
from vosd.config import load as loading
from vosd.config.kept import KeptCatalogue
from vosd.daemon import bootstrap, checks
from vosd.daemon.claim import user_name
from vosd.wiring.change_check import LastLoad

CONFIGURATION = """
node: sw1
sip: {listen: ["udp:$network.9:14061"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - name: sell
    rates: [{prefix: "44", billing_rate: "0.012"}]
  - name: buy
    rates: [{prefix: "44", billing_rate: "0.005"}]
accounts:
  - {id: acme, type: direct, rate_group: sell, overdraft_limit: "0"}
  - {id: carrier-a, type: clearing, rate_group: buy, overdraft_limit: "unlimited"}
mapping_gateways:
  - {name: acme-pbx, account: acme, hosts: [127.0.0.1/32], max_cps: 50}
routing_gateways:
  - {name: carrier-a, account: carrier-a, address: "127.0.0.1:14081", prefixes: ["44"]}
""".replace("$network", NETWORK)
BAD = CONFIGURATION.replace("max_cps: 50", "max_cps: many") + "colour: red\n"
FASTER = CONFIGURATION.replace("max_cps: 50", "max_cps: 60")


def started(directory: Path, migrated: Path, configuration: str = CONFIGURATION) -> Daemon:
    daemon = forked.Daemon(directory, configuration)
    shutil.copy(migrated, directory)
    daemon.start()
    return daemon


@pytest.fixture
def daemon(tmp_path: Path, migrated: Path) -> Iterator[Daemon]:
    """Give a switch that the test may reload, stop and kill."""
    daemon = started(tmp_path, migrated)
    yield daemon
    daemon.kill()


@pytest.fixture
def starting(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[Daemon]:
    """Give a switch of either kind that starts: its messages are more than the kernel keeps."""
    daemon: Daemon = request.param(tmp_path, CONFIGURATION)
    shutil.copy(migrated, tmp_path)
    daemon.start(wait=False)
    yield daemon
    daemon.kill()


@pytest.fixture(scope="module")
def resting(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Daemon]:
    """Give a switch that tests share and leave running as it is."""
    configuration = CONFIGURATION.replace("14061", "14062")
    daemon = started(tmp_path_factory.mktemp("resting"), migrated, configuration)
    yield daemon
    daemon.kill()


class Refusal(NamedTuple):
    """How a start ended."""

    returncode: int
    stderr: str


def refused_start(daemon: Daemon) -> Refusal:
    """Run ``vosd run`` where it is expected to give up by itself."""
    said = daemon.log_file.stat().st_size if daemon.log_file.exists() else 0
    daemon.start(wait=False)
    return Refusal(daemon.wait(), daemon.log_file.read_text()[said:])


def catalogue_of(daemon: Daemon) -> dict[str, str]:
    catalogue: dict[str, str] = daemon.ask("status")["catalogue"]
    return catalogue


@pytest.mark.parametrize(
    ("starting", "ending"),
    [(forked.Daemon, signal.SIGINT), (Daemon, signal.SIGTERM)],
    ids=["forked, SIGINT", "the installed program, SIGTERM"],
    indirect=["starting"],
)
def test_a_whole_life_is_told_to_the_service_manager(
    manager: ServiceManager, starting: Daemon, ending: signal.Signals
) -> None:
    daemon = starting
    before_ready = manager.wait_for("READY=1")
    assert before_ready[-1].startswith(f"READY=1\nSTATUS=takes calls at udp:{NETWORK}.9:14061")
    started = [message for message in before_ready if message.startswith("STATUS=starting")]
    steps = [
        "state directory",
        "alarms",
        "metrics",
        "call reports",
        "last known state",
        "database",
        "lease",
        "bookkeeper",
        "switch",
        "watch over destinations",
    ]
    steps += ["late database", "definitions", "retention", "listeners", "control socket", "reloads"]
    told = [f"STATUS=starting {step}\nEXTEND_TIMEOUT_USEC=30000000" for step in steps]
    assert list(dict.fromkeys(started)) == [each for each in told if each in started]  # those that take long
    manager.wait_for("WATCHDOG=1")
    daemon.signal(ending)
    stopping = manager.wait_for("STOPPING=1")[-1]
    assert "EXTEND_TIMEOUT_USEC=41000000" in stopping
    assert daemon.wait() == 0
    # (on a busy machine the bookkeeper may still be starting then, and is killed after 5 s; and the loop is late)
    told_last = [line["event"] for line in daemon.log() if line["event"] not in {"bookkeeper_killed", "loop_late"}]
    assert told_last[-2:] == ["stop_requested", "stopped"]
    assert not (daemon.directory / "vosd.sock").exists()


def test_a_good_file_is_taken_on_sighup_and_a_bad_one_leaves_the_old_in_force(
    manager: ServiceManager, daemon: Daemon
) -> None:
    first = catalogue_of(daemon)
    manager.wait_for("READY=1")

    daemon.configure(FASTER)
    daemon.signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    second = catalogue_of(daemon)
    assert second["version"] != first["version"]

    daemon.configure(BAD)
    daemon.signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    third = catalogue_of(daemon)
    assert (third["version"], third["loaded_at"]) == (second["version"], second["loaded_at"])
    assert "max_cps: value 'many'" in third["error"]
    assert [line["event"] for line in daemon.log() if line.get("level") == "error"] == []
    assert [line["level"] for line in daemon.log() if line.get("event") == "reload_refused"] == ["warning"]


def hang_up_behind_the_files() -> None:
    """Have the switch get SIGHUP when it has read its files, and not begun to handle signals."""
    read = bootstrap.load_at_start

    def then_hang_up(*words: Any) -> Any:
        found = read(*words)
        os.kill(os.getpid(), signal.SIGHUP)
        return found

    bootstrap.load_at_start = then_hang_up


def test_a_sighup_while_the_configuration_is_read_ends_no_start_and_is_carried_out_after_it(
    tmp_path: Path, migrated: Path
) -> None:
    shutil.copy(migrated, tmp_path)
    with forked.Daemon(tmp_path, CONFIGURATION.replace("14061", "14063"), prepare=hang_up_behind_the_files) as daemon:
        eventually(lambda: "configuration_loaded" in [line["event"] for line in daemon.log()], "a second load")
        events = [line["event"] for line in daemon.log()]
        assert events.index("ready") < events.index("configuration_loaded")


def check_changes_by_a_copy() -> None:
    """Have the switch take its configuration for a large one, and its copy read no object by itself."""
    checks.READY_FROM = 1  # type: ignore[misc]
    of_start = LastLoad.of_start

    def without_reading_all(*words: Any) -> LastLoad:
        del loading.every_object
        return of_start(*words)

    LastLoad.of_start = without_reading_all  # type: ignore[method-assign, assignment]


def test_the_first_change_after_a_start_is_checked_by_a_copy_of_it(tmp_path: Path, migrated: Path) -> None:
    shutil.copy(migrated, tmp_path)
    keys = tmp_path / "keys.yaml"
    keys.write_text("rate_group: sell\n")
    configuration = CONFIGURATION.replace("14061", "14064")
    with forked.Daemon(tmp_path, configuration) as daemon:
        daemon.ask("definitions", "set", "accounts", "shop", "--file", str(keys))
        assert daemon.interrupt() == 0
    with forked.Daemon(tmp_path, configuration, prepare=check_changes_by_a_copy) as daemon:
        (copy,) = by_name(daemon, "vosd.wiring.check_process")
        assert daemon.ask("definitions", "set", "accounts", "next", "--file", str(keys))["in_force"] is True
        keys.write_text("rate_group: none\n")
        refused = daemon.verb("definitions", "set", "accounts", "last", "--file", str(keys))
        assert (refused.code, "accounts[last].rate_group: value 'none'" in refused.stderr) == (3, True)
        assert by_name(daemon, "vosd.wiring.check_process") == [copy]
        assert daemon.interrupt() == 0
        assert not Path(f"/proc/{copy}").exists()


def by_name(daemon: Daemon, name: str) -> list[int]:
    """Return the processes beside the switch that are listed by a name as their command."""
    return [pid for pid in daemon.children() if Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") == name]


def test_reload_check_and_diff_agree_about_a_file(daemon: Daemon) -> None:
    first = catalogue_of(daemon)["version"]
    daemon.configure(BAD)
    checked = daemon.verb("check")
    reloaded = daemon.verb("reload")
    assert (checked.code, reloaded.code) == (3, 3)
    assert checked.stdout.splitlines() == reloaded.stderr.splitlines()
    assert len(checked.stdout.splitlines()) == 2
    assert checked.stdout.startswith(f"{daemon.configuration_file}:")
    assert catalogue_of(daemon)["version"] == first

    daemon.configure(FASTER)
    difference = {"object": "mapping gateway acme-pbx", "key": "max_cps", "running": 50, "file": 60}
    assert daemon.ask("check", "--diff") == [difference]
    taken = daemon.ask("reload")
    assert taken == {"version": catalogue_of(daemon)["version"], "problems": []}
    assert daemon.ask("check", "--diff") == []
    assert catalogue_of(daemon)["error"] is None


def test_check_with_diff_says_what_a_reload_would_say_and_changes_nothing(daemon: Daemon) -> None:
    daemon.succeed("payment", "add", "--account", "acme", "--amount", "5")
    assert daemon.verb("check", "--diff").stderr == ""
    in_euro = CONFIGURATION.replace("    rates: [", "    currency: EUR\n    rates: [")
    by_tcp = CONFIGURATION.replace('"127.0.0.1:14081"', '"127.0.0.1:14081;transport=tcp"').replace(
        ":14061", ':14061", "tcp:$network.9:14061'.replace("$network", NETWORK)
    )
    truncated = CONFIGURATION.partition("mapping_gateways:")[0]
    for changed, reason, code in (
        (in_euro, "expected USD, the currency of the money that this account has in the ledger", 3),
        (by_tcp, "tcp", 3),
        (truncated, "the file removes 1 of 1 mapping gateways: acme-pbx", 1),
    ):
        before = catalogue_of(daemon)
        daemon.configure(changed)
        checked = daemon.verb("check", "--diff", "--json")
        assert (checked.code, bool(json.loads(checked.stdout))) == (3, True)
        assert catalogue_of(daemon) == before, "not even the last error has changed"
        refused = daemon.verb("reload")
        assert (refused.code, reason in refused.stderr) == (code, True)
        said = refused.stderr.removeprefix("Error: ").rstrip()
        assert checked.stderr == f"{said}\na reload would be refused: what runs stays in force\n"
        daemon.configure(CONFIGURATION)
        daemon.succeed("reload")

    daemon.configure(FASTER.replace("node: sw1", "node: sw2"))
    checked = daemon.verb("check", "--diff")
    assert (checked.code, "expected a restart: the change takes effect after it" in checked.stderr) == (0, True)
    taken = daemon.ask("reload")
    assert checked.stderr.splitlines() == taken["problems"]


def test_a_file_that_may_become_the_configuration_is_tried_by_the_switch(daemon: Daemon) -> None:
    other = daemon.configuration_file.with_name("next.yaml")
    whole = daemon.configuration_file.read_text()
    other.write_text(whole.partition("mapping_gateways:")[0])
    checked = CliRunner().invoke(main, ["check", "--diff", "-c", str(other)])
    assert (checked.exit_code, "the file removes 1 of 1 routing gateways: carrier-a" in checked.stderr) == (3, True)
    other.write_text(whole.replace("max_cps: 50", "max_cps: 60"))
    assert CliRunner().invoke(main, ["check", "--diff", "-c", str(other)]).exit_code == 0
    assert daemon.ask("check", "--diff") == []


def refusal_on_signal(manager: ServiceManager, daemon: Daemon) -> dict[str, str]:
    """Reload by SIGHUP, and return the one event that says why the file was not taken."""
    manager.wait_for("READY=1")
    daemon.signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    (event,) = [line for line in daemon.log() if line.get("event") == "reload_refused"]
    return event


def test_an_emptied_file_is_refused_and_every_customer_stays(manager: ServiceManager, daemon: Daemon) -> None:
    first = catalogue_of(daemon)["version"]
    file = daemon.configuration_file
    whole = file.read_text()
    file.write_text("")

    assert "the file is empty" in refusal_on_signal(manager, daemon)["why"]
    refused = daemon.verb("reload")
    assert refused.code == 3
    assert refused.stderr.splitlines()[1:] == [f"{file}: expected keys and values; the file is empty"]

    file.write_text(whole)
    assert catalogue_of(daemon)["version"] == first


@pytest.mark.parametrize(
    ("written", "broken", "why"),
    [("    rates: [", "    rates: [[[", "did not find expected ',' or ']'"), ("\naccounts:", "\n\taccounts:", "tab")],
    ids=["an open bracket", "a tab"],
)
def test_commands_reach_the_switch_whose_file_is_broken_and_it_refuses_a_reload(
    daemon: Daemon, written: str, broken: str, why: str
) -> None:
    file = daemon.configuration_file
    file.write_text(file.read_text().replace(written, broken, 1))
    for words in (("status",), ("alarms",), ("calls",), ("hangup", "--account", "acme", "--yes")):
        done = daemon.verb(*words, "--json")
        assert (done.code, "is asked all the same" in done.stderr) == (0, True), done
        json.loads(done.stdout)
    refused = daemon.verb("reload")
    assert (refused.code, why in refused.stderr) == (3, True), refused
    assert why in catalogue_of(daemon)["error"]
    assert [each["subject"] for each in daemon.ask("alarms") if each["alarm"] == "reload_refused"]
    assert [each for each in daemon.log() if each.get("event") == "reload_refused"]


def test_a_truncated_file_is_loaded_only_with_yes(manager: ServiceManager, daemon: Daemon) -> None:
    first = catalogue_of(daemon)["version"]
    daemon.configure(CONFIGURATION.partition("mapping_gateways:")[0])

    assert "acme-pbx" in refusal_on_signal(manager, daemon)["why"]
    refused = daemon.verb("reload")
    assert refused.code == 1
    assert "the file removes 1 of 1 mapping gateways: acme-pbx" in refused.stderr
    assert "the file removes 1 of 1 routing gateways: carrier-a" in refused.stderr
    assert "vosd reload --yes" in refused.stderr
    kept = catalogue_of(daemon)
    assert (kept["version"], "acme-pbx" in kept["error"]) == (first, True)

    daemon.succeed("reload", "--yes")
    taken = catalogue_of(daemon)
    assert (taken["version"] != first, taken["error"]) == (True, None)


def test_a_reload_that_is_refused_is_one_json_document(daemon: Daemon) -> None:
    daemon.configure(BAD)
    bad = daemon.verb("reload", "--json")
    document = json.loads(bad.stdout)
    assert (bad.code, list(document)) == (3, ["error", "problems"])
    assert bad.stderr == f"{document['error']}\n"
    checked = daemon.verb("check", "--json")
    assert [each["severity"] for each in json.loads(checked.stdout)] == ["error", "error"]
    assert (checked.code, "is not valid" in checked.stderr) == (3, True)
    assert any("colour" in problem for problem in document["problems"])

    daemon.configure(CONFIGURATION.partition("mapping_gateways:")[0])
    sweeping = daemon.verb("reload", "--json")
    document = json.loads(sweeping.stdout)
    assert (sweeping.code, document["problems"]) == (1, [])
    assert "acme-pbx" in document["error"]

    daemon.configuration_file.write_text("")
    empty = daemon.verb("reload", "--json")
    assert (empty.code, len(json.loads(empty.stdout)["problems"])) == (3, 1)


def test_a_setting_that_needs_a_restart_is_named_and_kept(daemon: Daemon) -> None:
    daemon.configure(CONFIGURATION.replace("node: sw1", "node: sw2"))
    (problem,) = daemon.ask("reload")["problems"]
    assert ": node:" in problem
    assert "restart" in problem
    assert daemon.ask("status")["node"] == "sw1"


def test_a_payment_is_in_the_running_switch_when_the_command_returns(resting: Daemon) -> None:
    call = ("route", "explain", "--gateway", "acme-pbx", "--caller", "1000", "--callee", "4420123", "--live")
    assert resting.ask(*call)["result"] == "Insufficient Balance"
    resting.succeed("payment", "add", "--account", "acme", "--amount", "5", "--reference", "first")
    assert resting.ask(*call)["result"] == "ok"
    assert resting.ask(*call[:-1])["result"] == "ok"
    account = resting.ask("account", "show", "acme")
    assert (account["balance"], account["reserved"], account["available"]) == ("5.00", "0.00", "5.00")


def test_the_status_of_a_switch_at_rest_counts_nothing(resting: Daemon) -> None:
    status = resting.ask("status")
    others = {
        "version",
        "node",
        "listen",
        "id",
        "configuration",
        "pid",
        "started_at",
        "session_refresh_failed",
        "machine",
        "database",
        "catalogue",
    }
    counts = status.keys() - others  # their names are fixed by unit/daemon/test_status
    assert {"calls", "legs", "dialogs", "transactions", "timers", "holds", "cdr_queue", "spool_rows"} <= counts
    assert (status["database"]["state"], status["database"]["regressed_at"]) == ("well", None)
    assert status["session_refresh_failed"] == {}
    assert {key: status[key] for key in counts} == dict.fromkeys(counts, 0)
    assert {type(status[key]) for key in counts} == {int}
    assert status["pid"] == resting.pid
    assert (status["version"], status["node"]) == (__version__, "sw1")
    catalogue = status["catalogue"]
    assert set(catalogue) == {"version", "loaded_at", "error"}
    assert (bool(catalogue["version"]), catalogue["error"]) == (True, None)
    for moment in (catalogue["loaded_at"], status["started_at"]):
        assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", moment)
    assert resting.ask("calls") == []


def test_a_second_switch_on_the_same_state_is_refused_and_the_first_goes_on(resting: Daemon) -> None:
    second = refused_start(forked.Daemon(resting.directory, resting.configuration_file.read_text()))
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == (
        f"Error: another switch (pid {resting.pid}) runs on state_dir {resting.directory}/var;"
        " stop it or use another one"
    )
    assert resting.ask("status")["pid"] == resting.pid


def test_a_double_start_is_refused_and_leaves_no_second_process(resting: Daemon) -> None:
    before = resting.pid
    for wait in (True, False):
        with pytest.raises(DaemonError, match=f"has not ended, its process is {before}"):
            resting.start(wait=wait)
    assert (resting.pid, resting.ask("status")["pid"]) == (before, before)


def test_a_port_that_is_taken_is_named(tmp_path: Path, migrated: Path) -> None:
    daemon = forked.Daemon(tmp_path, CONFIGURATION)
    shutil.copy(migrated, tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((f"{NETWORK}.9", 14061))
        refused = refused_start(daemon)
    assert refused.returncode == 1
    assert f"cannot listen on udp:{NETWORK}.9:14061" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_without_schema_is_told_to_be_migrated(tmp_path: Path) -> None:
    refused = refused_start(forked.Daemon(tmp_path, CONFIGURATION))
    assert refused.returncode == 1
    assert "run vosd migrate" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_full_disk_of_the_state_directory_is_named(tmp_path: Path, migrated: Path) -> None:
    daemon = forked.Daemon(tmp_path, CONFIGURATION)
    shutil.copy(migrated, tmp_path)
    with mounted(tmp_path / "var", "64k") as disk:
        fill(disk)
        refused = refused_start(daemon)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False), refused.stderr
    assert f"state_dir {tmp_path}/var: No space left on device: make room there (df, df -i)" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away, which root alone may")
def test_root_is_warned_in_the_state_directory_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    os.chown(tmp_path / "var", 65534, -1)
    refused = refused_start(forked.Daemon(tmp_path, CONFIGURATION))
    assert '"event":"state_dir_of_another_user"' in refused.stderr
    assert f"chown -R {user_name(65534)}: {tmp_path}/var" in refused.stderr


def test_a_bad_configuration_does_not_start(tmp_path: Path) -> None:
    refused = refused_start(forked.Daemon(tmp_path, BAD))
    assert refused.returncode == 3
    assert len(refused.stderr.splitlines()) == 2
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("edited", [CONFIGURATION.replace("rates: [", "rates: [[["), BAD], ids=["no YAML", "a mistake"])
def test_a_killed_switch_comes_back_by_the_last_good_configuration_while_its_file_is_edited(
    daemon: Daemon, edited: str
) -> None:
    before = catalogue_of(daemon)["version"]
    eventually(lambda: KeptCatalogue(daemon.directory / "var").manifest().files, "its configuration is kept")
    daemon.configure(edited)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    daemon.start()
    kept = catalogue_of(daemon)
    assert (kept["version"], "vosd.yaml:" in kept["error"]) == (before, True)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((f"{NETWORK}.9", 14061))
        assert refused_start(daemon).returncode == 1, "the port is taken"
    daemon.start()
    assert [each["subject"] for each in daemon.ask("alarms") if each["alarm"] == "catalogue_fallback"]
    assert daemon.verb("reload").code == 3
    assert daemon.interrupt() == 0
    assert refused_start(daemon).returncode == 3, "a switch that was stopped needs a good file"
    daemon.configure(FASTER)
    daemon.start()
    assert catalogue_of(daemon)["error"] is None


def test_a_killed_switch_is_tried_again_until_the_files_that_its_configuration_names_are_right(
    tmp_path: Path, migrated: Path
) -> None:
    """The renewal of a certificate has put the next key in its place, and not yet the chain."""
    authority = Authority(tmp_path)
    before, after = (authority.issue(name, f"{NETWORK}.9") for name in ("before", "after"))
    in_use = Certificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    shutil.copy(before.file, in_use.file)
    shutil.copy(before.key, in_use.key)
    listen = f'{{listen: ["udp:{NETWORK}.9:14061", "tls:{NETWORK}.9:14063"], tls: {{certificate: {in_use.file},'
    secure = re.sub("sip: .*", f"sip: {listen} private_key: {in_use.key}}}}}", CONFIGURATION)
    daemon = started(tmp_path, migrated, secure)
    try:
        eventually(lambda: KeptCatalogue(daemon.directory / "var").manifest().files, "its configuration is kept")
        shutil.copy(after.key, in_use.key)
        assert daemon.verb("reload").code == 3
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()
        for _ in range(2):
            refused = refused_start(daemon)
            assert refused.returncode == 1, "systemd does not try again after 3"
            assert "sip.tls.private_key" in refused.stderr
            assert "Traceback" not in refused.stderr
        shutil.copy(after.file, in_use.file)
        daemon.start()
        assert daemon.interrupt() == 0
        shutil.copy(before.key, in_use.key)
        assert refused_start(daemon).returncode == 3, "a switch that was stopped needs good files"
    finally:
        daemon.kill()


EURO = CONFIGURATION.replace("name: sell\n", "name: sell\n    currency: EUR\n").replace(
    "name: buy\n", "name: buy\n    currency: EUR\n"
)


def test_no_money_changes_its_currency_by_a_reload_or_a_start(daemon: Daemon) -> None:
    """An account that was never used may; one with entries keeps what its balance is in."""
    assert daemon.verb("payment", "add", "--account", "acme", "--amount", "10").code == 0
    before = catalogue_of(daemon)["version"]
    daemon.configure(EURO)
    refused = daemon.verb("reload")
    line = 1 + EURO.splitlines().index('  - {id: acme, type: direct, rate_group: sell, overdraft_limit: "0"}')
    mistake = f"{daemon.configuration_file}:{line}: accounts[acme].currency: value 'EUR': expected USD, the currency of"
    assert refused.code == 3
    (told,) = refused.stderr.splitlines()
    assert told.startswith(mistake)
    assert "set it back; for another currency add an account with another id" in told
    assert catalogue_of(daemon)["version"] == before
    assert daemon.interrupt() == 0
    again = refused_start(daemon)
    assert again.returncode == 3
    assert mistake in again.stderr
    assert "Traceback" not in again.stderr
    daemon.configure(CONFIGURATION)
    daemon.start()
    assert daemon.ask("account", "show", "acme")["currency"] == "USD"


def test_the_state_is_the_switch_s_alone(resting: Daemon) -> None:
    state = resting.directory / "var"
    assert state.stat().st_mode & 0o777 == 0o700
    others = [path for path in state.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert others == []
    assert (resting.directory / "vosd.sock").stat().st_mode & 0o777 == 0o600


def test_a_killed_switch_can_be_started_again_at_once(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    assert daemon.verb("status").code == 4
    daemon.start()
    assert daemon.ask("status")["calls"] == 0
    assert daemon.interrupt() == 0
