"""Files that workers read when they are due: every test runs once, failures are told, set-up is shared and undone."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = """
import pytest
import pathlib

@pytest.fixture(scope="session", autouse=True)
def whole_run():
    yield
    pathlib.Path("ended").open("a").write("run\\n")
"""
FILES = {
    "pytest.ini": "[pytest]\n",
    "conftest.py": CONFTEST,
    "test_good.py": "import pytest\n"
    "@pytest.fixture(scope='module')\n"
    "def once():\n"
    "    yield\n"
    "    open('ended', 'a').write('good\\n')\n"
    "def test_a(once): pass\n"
    "def test_b(once): pass\n",
    "test_later.py": "def test_c(): open('ended', 'a').write('later\\n')\ndef test_d(): assert 1 == 2\n",
    "test_unreadable.py": "import nowhere\ndef test_e(): pass\n",
}


def test_files_are_read_when_they_are_due(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    of_pytest = ("PYTEST_", "COV")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(of_pytest)}
    plugins = ("-p", "xdist.plugin", "-p", "whole_files", "-p", "no:cacheprovider")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-n1", "--dist=loadfile"],
        cwd=tmp_path,
        env={**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1 worker [3 items]" in ran.stdout
    assert "1 failed, 3 passed, 1 error" in ran.stdout
    assert "No module named 'nowhere'" in ran.stdout
    assert "test_d - assert 1 == 2" in ran.stdout
    assert (tmp_path / "ended").read_text().split() == ["good", "later", "run"]
