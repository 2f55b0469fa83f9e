"""``vosd api``: the management API in the foreground."""

import os
import sys

import click

from vosd.cli.command import Invocation, Verb, pass_invocation
from vosd.processes import entry
from vosd.processes.entry import search_path


@click.command(cls=Verb)
@pass_invocation
def api(invocation: Invocation) -> None:
    """Answer the management API at ``api.listen`` in the foreground; the switch does so itself where that is set."""
    config = invocation.config_path()
    environ = {**os.environ, "PYTHONPATH": search_path()}
    words = [sys.executable, "-P", "-m", entry.__name__, "vosd.api.process", str(config)]
    os.execve(sys.executable, words, environ)  # noqa: S606  a process without what the command line has imported
