"""What the processes of the switch import of SQLAlchemy."""

import subprocess
import sys

PROGRAM = """
import sys
import vosd.storage.bookkeeper
loaded = [name for name in sys.modules if name.startswith("sqlalchemy.orm")]
assert not loaded, loaded
from vosd.storage.asynchronous import AsyncConnection, AsyncEngine, create_async_engine
import sqlalchemy.ext.asyncio as whole
assert "sqlalchemy.orm" in sys.modules
assert whole.AsyncConnection is AsyncConnection and whole.AsyncEngine is AsyncEngine
assert whole.create_async_engine is create_async_engine
"""


def test_the_mapper_is_not_loaded_and_the_whole_package_has_the_same_classes():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, timeout=60, text=True)
    assert (done.returncode, done.stderr) == (0, "")
