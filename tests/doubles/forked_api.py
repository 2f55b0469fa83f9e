"""The management API in a forked process, with processes beside it that its first jobs become."""

import gc
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from doubles import spare
from doubles.quick_hashes import QUICK
from vosd.admin.office import passwords
from vosd.api import job_process, jobs
from vosd.api.application import Identify
from vosd.api.process import run, serve
from vosd.daemon import checks
from vosd.engine.settings import ApiSettings, HttpListener
from vosd.wiring import check_process
from vosd.wiring.last_good import in_force

JOBS: Final = 10
"""More than one file of tests orders of one API. Each costs ten milliseconds, also one that is not ordered."""


def run_forked_api(
    config: Path, listener: socket.socket, environment: Mapping[str, str], identify: Identify, jobs_ready: int
) -> None:
    """Become the API; the jobs after the first ``jobs_ready`` are executed."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    vars(passwords).update(QUICK)
    gc.freeze()
    spare.wait_for(job_process.__name__, jobs.__name__, jobs_ready, [listener])
    spare.wait_for(check_process.__name__, checks.__name__, closed=[listener])
    run_api(config, listener, identify)


def run_api(config: Path, listener: socket.socket, identify: Identify) -> None:
    """Serve a configuration at a socket that listens."""
    # Without api.listen a switch beside it starts none of its own.
    settings = in_force(config).settings.api or ApiSettings(HttpListener("127.0.0.1", 0))
    run(serve(config, settings, listener, identify, None))
