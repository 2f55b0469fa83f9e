"""The management API in a forked process, with one beside it that forks its jobs."""

import gc
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

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


def run_forked_api(
    config: Path, listener: socket.socket, environment: Mapping[str, str], identify: Identify, forks_jobs: bool
) -> None:
    """Become the API; jobs are executed unless it ``forks_jobs``."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    vars(passwords).update(QUICK)
    gc.freeze()
    users = {check_process.__name__: checks.__name__, job_process.__name__: jobs.__name__}
    if not forks_jobs:
        del users[job_process.__name__]
    spare.fork_for(users, [listener])
    run_api(config, listener, identify)


def run_api(config: Path, listener: socket.socket, identify: Identify) -> None:
    """Serve a configuration at a socket that listens."""
    # Without api.listen a switch beside it starts none of its own.
    settings = in_force(config).settings.api or ApiSettings(HttpListener("127.0.0.1", 0))
    run(serve(config, settings, listener, identify, None))
