"""The entry of a process that the switch starts for itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vosd.processes.entry import search_path


def test_ctrl_c_of_a_terminal_is_left_to_the_switch(tmp_path: Path) -> None:
    """It reaches all processes of the terminal, and a module takes a second to be imported."""
    (tmp_path / "early.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nmain = print\n")
    path = os.pathsep.join((search_path(), str(tmp_path)))
    command = [sys.executable, "-P", "-m", "vosd.processes.entry", "early"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


@pytest.mark.parametrize(
    ("module", "score"),
    [("vosd.api.process", "900"), ("vosd.wiring.check_process", "900"), ("vosd.storage.bookkeeper", "")],
)
def test_the_kernel_is_to_kill_a_process_first_before_its_module_is_imported(module: str, score: str) -> None:
    """Memory was short while the API imported its modules, and the kernel killed the switch."""
    program = (
        "import os, runpy, sys\n"
        "from pathlib import Path\n"
        "read = Path('/proc/self/oom_score_adj').read_text\n"
        "before = read()\n"
        "class AtTheImport:\n"
        "    def find_spec(name, path, target=None):\n"
        "        if name == sys.argv[0]:\n"
        "            os.write(1, (read() if read() != before else '').encode())\n"
        "            os._exit(0)\n"
        "sys.meta_path.insert(0, AtTheImport)\n"
        "runpy.run_module('vosd.processes.entry', run_name='__main__')\n"
    )
    command = [sys.executable, "-P", "-c", program, module]
    environ = {**os.environ, "PYTHONPATH": search_path()}
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (score, "")
