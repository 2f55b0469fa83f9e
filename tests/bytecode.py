"""What a fresh checkout lacks, made once: each worker would compile each file, for all begin with the same one.

Every worker goes through all files from a place of its own, and leaves out what another one has done. One of them lets
Hypothesis write its list of characters meanwhile: each that draws texts would go through Unicode for two seconds.
"""

import importlib.util
import os
import py_compile
import sys
from pathlib import Path
from typing import Final

import pytest
from _pytest.assertion import rewrite
from hypothesis import strategies

SOURCES: Final = ("vosd", "tests")


def keep(config: pytest.Config) -> None:
    """Keep bytecode in a run of several workers, whatever its environment says: they start Python hundreds of times."""
    if config.option.dist != "no":
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False


def compile_together(config: pytest.Config) -> None:
    """Write what is not there yet, if this process is a worker; bytecode that is out of date is renewed on import."""
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode:
        return
    files = sorted(file for folder in SOURCES for file in (config.rootpath / folder).rglob("*.py"))
    number = int(worker["workerid"].removeprefix("gw"))
    if number == worker["workercount"] - 1:
        strategies.text().validate()
    first = len(files) * number // worker["workercount"]
    for file in files[first:] + files[:first]:
        compile_file(file, config)


def compile_file(file: Path, config: pytest.Config) -> None:
    """Write the bytecode of one file: of a test with assertions as pytest rewrites them."""
    if not file.name.startswith(("test_", "conftest")):
        if not Path(importlib.util.cache_from_source(str(file))).exists():
            py_compile.compile(str(file), doraise=True)
        return
    folder = rewrite.get_cache_dir(file)
    compiled = folder / (file.stem + rewrite.PYC_TAIL)
    if not compiled.exists() and rewrite.try_makedirs(folder):
        source_hash, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source_hash, compiled)
