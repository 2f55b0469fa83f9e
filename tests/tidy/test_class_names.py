"""The name of a public class has one meaning in the whole program."""

import re
from collections import defaultdict
from typing import Final

from syntax_nodes import ROOT

CLASS: Final = re.compile(r"^ *class ([A-Z]\w*)", re.MULTILINE)
"""The beginning of a public class: the whole tree of the syntax would take seconds."""


def test_no_two_public_classes_share_a_name():
    files = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for name in CLASS.findall(path.read_text()):
            files[name].append(path.relative_to(ROOT).as_posix())
    assert len(files) > 1_000
    shared = {name: places for name, places in files.items() if len(places) > 1}
    assert shared == {}
