"""The entry of a process that the switch starts for itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

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
