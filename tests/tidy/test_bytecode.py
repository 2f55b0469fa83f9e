"""Bytecode that is written before tests are collected is what Python and pytest then find."""

import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from _pytest.assertion import rewrite
from bytecode import compile_file, keep


def test_a_test_is_compiled_with_its_assertions_rewritten(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    file = tmp_path / "test_sums.py"
    file.write_text("def test_sum():\n    assert 1 + 1 == 2\n")
    compile_file(file, pytestconfig)
    (written,) = rewrite.get_cache_dir(file).iterdir()
    code = rewrite._read_pyc(file, written)
    assert code is not None
    assert "@pytest_ar" in code.co_names


def test_any_other_file_is_compiled_as_python_does(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    file = tmp_path / "sums.py"
    file.write_text("TWO = 1 + 1\n")
    compile_file(file, pytestconfig)
    (written,) = tmp_path.joinpath("__pycache__").iterdir()
    assert str(written) == importlib.util.cache_from_source(str(file))


@pytest.mark.parametrize(("dist", "is_kept"), [("loadfile", True), ("no", False)])
def test_a_run_of_several_workers_keeps_bytecode_against_its_environment(
    monkeypatch: pytest.MonkeyPatch, dist: str, is_kept: bool
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    keep(SimpleNamespace(option=SimpleNamespace(dist=dist)))
    assert ("PYTHONDONTWRITEBYTECODE" not in os.environ) is is_kept
    assert sys.dont_write_bytecode is not is_kept
