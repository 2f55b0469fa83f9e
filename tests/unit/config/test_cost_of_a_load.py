"""Cost of one more account with a trunk, as a start reads them from the database: functions of Python that are called.

Figures that may fall and not rise: a start with 100,000 of each waits for this (bench/README.md).
"""

import gc
import json
import sys
from pathlib import Path
from types import FrameType

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.load import load
from vosd.config.stored import Stored

CALLS_MAX = 140
FEW, MANY = 20, 60


def version_of(kind: str, name: str, keys: dict[str, object]) -> ObjectVersion:
    return ObjectVersion(kind=kind, name=name, version=1, body=json.dumps(keys), begins_at=1, made_at=1, operator="ann")


def stored(number: int) -> Stored:
    names = [str(each) for each in range(number)]
    accounts = [version_of("accounts", f"s{each}", {"type": "direct", "template": "common"}) for each in names]
    trunks = [
        version_of(
            "mapping_gateways", f"u{each}", {"account": f"s{each}", "hosts": [f"12.0.0.{each}/32"], "max_cps": 1}
        )
        for each in names
    ]
    templates = [version_of("templates", "common", {"rate_group": "sell", "max_concurrent": "2"})]
    objects = {of_kind[0].kind: {each.name: each for each in of_kind} for of_kind in (accounts, trunks, templates)}
    return Stored(version=1, objects=objects)


class Calls:
    """Counts the functions of Python that this thread calls."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "Calls":
        gc.disable()  # what earlier tests have left behind is let go by calls, too
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _count(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.number += event == "call"


def calls_of_load(file: Path, number: int) -> int:
    definitions = stored(number)
    with Calls() as calls:
        loaded = load(file, {}, definitions=lambda _: definitions)
    assert len(loaded.catalogue.mapping_gateways) == number
    assert not loaded.problems
    return calls.number


def test_the_cost_of_an_account_with_a_trunk_does_not_rise(tmp_path: Path) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text(
        f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {tmp_path}/var\n"
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\ncontrol_socket: {tmp_path}/vosd.sock\n"
        'rate_groups:\n  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}\n'
    )
    calls_of_load(file, FEW)  # what is made once: models, conversions
    each = (calls_of_load(file, MANY) - calls_of_load(file, FEW)) / (MANY - FEW)
    assert each <= CALLS_MAX, f"{each:.1f} calls"
