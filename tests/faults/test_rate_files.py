"""Compiled rates with the real switch: a killed compiler, a full disk, damaged files, a start that finds them."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from e2e.conditions import eventually

from .conftest import CONFIGURATION
from .test_full_disk import fill, small_disk  # noqa: F401 - a fixture

RATES = CONFIGURATION.replace('    rates: [{prefix: "44", billing_rate: "0.60"}]', "    rates_file: sell.csv")
MANY = 400_000
"""Rates that are compiled for long enough to find the process that does it."""


def write_rates(directory: Path, price: str, rows: int = 3_000) -> None:
    others = "".join(f"33{number:06},0.10\n" for number in range(rows))
    (directory / "sell.csv").write_text(f"prefix,billing_rate\n44,{price}\n{others}")


def the_compiler(scene) -> int:
    """Wait for the process that compiles, without a rest between looks: it has ended within some tenths of a second."""
    until = time.monotonic() + 30
    while not (found := compilers(scene)):
        assert time.monotonic() < until, "no compiler came"
    [pid] = found
    return pid


def compilers(scene) -> list[int]:
    """Return the process ids of the compilers that the switch has started."""
    found: list[int] = []
    for task in Path(f"/proc/{scene.daemon.pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread, or a process, that ended meanwhile
            children = map(int, (task / "children").read_text().split())
            found += [pid for pid in children if b"rate_compiler" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


def price_of_a_call(scene) -> str:
    """Make a call and return the price of a minute that it was rated with."""
    before = len(scene.records())
    scene.answered(1, first=before)
    scene.customer.hang_up(scene.customer.answered[-1])
    records = eventually(lambda: len(found := scene.records()) > before and found, "the record of the call")
    (newest,) = (record for record in records if record["callee_billing"] == f"44{before:07d}")
    return str(scene.daemon.ask("cdr", "show", newest["call_id"])["fee_breakdown"]["customer"][0]["billing_rate"])


def test_a_start_finds_the_rates_compiled_and_a_damaged_file_is_compiled_again(stage, tmp_path):
    write_rates(tmp_path, "0.60")
    scene = stage(configuration=RATES)
    (file,) = (tmp_path / "var" / "rates").iterdir()
    compiled = file.read_bytes()
    assert price_of_a_call(scene) == "0.60"
    explained = scene.daemon.ask("rate", "explain", "--account", "acme", "--callee", "4420", "--duration", "60")
    assert (explained["rate_prefix"], file.read_bytes()) == ("44", compiled)
    for content in (compiled[:1_000], bytes([*compiled[:-1], compiled[-1] ^ 1])):
        scene.daemon.kill()
        file.unlink()  # a new file, for the killed switch may still have mapped this one
        file.write_bytes(content)
        scene.daemon.start()
        assert file.read_bytes() == compiled
    assert price_of_a_call(scene) == "0.60"


def test_a_killed_compiler_leaves_the_rates_in_force_and_the_reload_says_why(stage, tmp_path):
    write_rates(tmp_path, "0.60")
    scene = stage(configuration=RATES)
    write_rates(tmp_path, "0.90", rows=MANY)
    with ThreadPoolExecutor(1) as other:
        reloading = other.submit(scene.daemon.verb, "reload")
        pid = the_compiler(scene)
        os.kill(pid, signal.SIGKILL)
        outcome = reloading.result()
    assert outcome.code == 3
    assert "expected a process that finishes compiling it; it was ended by signal 9" in outcome.stderr
    assert "it was ended by signal 9" in scene.daemon.ask("status")["catalogue"]["error"]
    assert price_of_a_call(scene) == "0.60"
    write_rates(tmp_path, "0.90")
    scene.daemon.succeed("reload")
    assert price_of_a_call(scene) == "0.90"


def test_a_full_disk_leaves_the_rates_in_force_and_the_reload_says_why(stage, tmp_path, small_disk):  # noqa: F811
    write_rates(tmp_path, "0.60")
    text = RATES.replace("state_dir: $directory/var", f"state_dir: {small_disk}/var")
    scene = stage(configuration=text)
    fill(small_disk)
    write_rates(tmp_path, "0.90")
    outcome = scene.daemon.verb("reload")
    assert outcome.code == 3
    assert f"expected room for the compiled rates in {small_disk}/var/rates: no space left on device" in outcome.stderr
    assert len(list((small_disk / "var" / "rates").iterdir())) == 1
    (small_disk / "ballast").unlink()
    scene.daemon.succeed("reload")
    assert price_of_a_call(scene) == "0.90"


def test_a_compiler_ends_with_the_switch(stage, tmp_path):
    write_rates(tmp_path, "0.60")
    scene = stage(configuration=RATES)
    for price, end in (("0.70", scene.daemon.kill), ("0.80", scene.daemon.interrupt)):
        if not scene.daemon.running:
            scene.daemon.start()
        write_rates(tmp_path, price, rows=MANY)  # another content: what was compiled in time would be found again
        scene.daemon.signal(signal.SIGHUP)
        pid = the_compiler(scene)
        end()
        assert eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "no compiler")
        write_rates(tmp_path, "0.60")
