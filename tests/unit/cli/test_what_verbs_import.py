"""A verb that only asks the running switch does not load what reads a configuration, and none loads the calls."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        (
            "vosd.config.control_socket",
            "('pydantic', 'sqlalchemy', 'vosd.config.assembly', 'vosd.engine', 'vosd.b2bua')",
        ),
        ("vosd.admin.names", "('vosd.b2bua.call', 'vosd.engine.calls.live_call', 'sqlalchemy')"),
        ("vosd.storage.books", "('sqlalchemy.orm', 'vosd.b2bua.call', 'pydantic')"),
    ],
)
def test_a_module_of_verbs_loads_no_more_than_it_needs(module, unneeded):
    program = f"import sys, {module}\nprint(*(name for name in sys.modules if name.startswith({unneeded})))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == []
