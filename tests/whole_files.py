"""A plug-in of pytest: a worker reads a test file when its turn comes. To read all of them takes six seconds.

To pytest-xdist such a file is one item. Its tests are collected, run and reported as they are without it.
"""

import gc
from pathlib import Path
from typing import Any, Final

import pytest

_CHOOSING: Final = ("keyword", "markexpr", "lf", "failedfirst", "stepwise")
"""Options that choose among tests: all of them are read first then."""
_AGREED: Final = "reads_files_when_due"


class WholeFile(pytest.Item):
    """All tests of a file that is not read yet."""

    def runtest(self) -> None:
        """Never called: its tests are run instead."""
        raise NotImplementedError

    def run_tests(self, nextitem: pytest.Item | None) -> None:
        """Read the file and run its tests, each with its reports."""
        session = self.session
        tests = self._collected()
        if not tests:
            session._setupstate.teardown_exact(nextitem)
            return
        place = session.items.index(self)
        for test, following in zip(tests, [*tests[1:], nextitem], strict=True):
            session.items[place] = test  # a worker reports of the item at this place
            self.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
            if session.shouldfail or session.shouldstop:
                break
        session.items[place] = self

    def _collected(self) -> list[pytest.Item]:
        """Return the tests; the module stays until the end, so garbage is not searched for in it."""
        gc.collect()
        gc.disable()
        tests = list(self.session.genitems(pytest.Module.from_parent(self.parent, path=self.path)))
        self.session._collection_cache.clear()
        self.config.hook.pytest_collection_modifyitems(session=self.session, config=self.config, items=tests)
        gc.freeze()
        gc.enable()
        return tests


class _Begun(set[Any]):
    """The files of which a test was reported: what is done is shown as a share of the items, which are files."""

    def add(self, test: Any) -> None:
        super().add(test.path)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let a worker read files when they are due, where whole files are given to workers."""
    config: pytest.Config = node.config
    is_whole = config.option.dist == "loadfile" and not any("::" in path for path in config.args)
    if is_whole and not any(config.getoption(option, None) for option in _CHOOSING):
        node.workerinput[_AGREED] = True
        config.pluginmanager.get_plugin("terminalreporter")._progress_nodeids_reported = _Begun()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> WholeFile | None:
    """Put off the reading of a file."""
    if not getattr(parent.config, "workerinput", {}).get(_AGREED):
        return None
    module = pytest.Module.from_parent(parent, path=module_path)
    return WholeFile.from_parent(parent, name=module.name, path=module_path, nodeid=module.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run all tests of a file whose reading was put off."""
    if not isinstance(item, WholeFile):
        return None
    item.run_tests(nextitem)
    return True
