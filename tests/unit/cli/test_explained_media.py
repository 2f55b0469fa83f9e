"""The column about media of ``vosd route explain``."""

import msgspec
import pytest

from vosd.cli.routes import _show
from vosd.control.routes import CandidateSheet, RouteSheet

FIRST = CandidateSheet(
    routing_gateway="first", position=1, callee_out="44", caller_out="1", reason="prefix *", prefix="*", priority=1,
    weight=100, cost=None, currency=None, effective_cost=None, margin=None,
)  # fmt: skip


def sheet(candidate: CandidateSheet) -> RouteSheet:
    return RouteSheet(
        result="ok", detail="", callee_billed="44", caller_routed="1", rate=None, plan=None, candidates=[candidate],
        left=[], unfit=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("relayed", "step", "words"),
    [
        (True, 1, "relayed, step 1"),
        (False, 2, "direct, step 2"),
        (True, 0, "relayed, by SS_MEDIAPROXYMODE"),
        (None, None, "by networks and NAT"),
    ],
)
def test_each_gateway_says_whether_media_are_relayed_and_by_which_step(relayed, step, words, capsys):
    candidate = msgspec.structs.replace(FIRST, relayed=relayed, media_step=step)
    _show(sheet(candidate))
    _, heads, row = capsys.readouterr().out.splitlines()
    assert heads.split()[-1] == "media"
    assert row.endswith(words)


def test_encryption_of_both_sides_stands_beside_the_step(capsys):
    candidate = msgspec.structs.replace(FIRST, relayed=True, media_step=5, encryption="caller required, ICE")
    _show(sheet(candidate))
    assert "relayed, step 5 (encryption: caller required, ICE)" in capsys.readouterr().out


def test_without_an_engine_there_is_no_such_column(capsys):
    _show(sheet(FIRST))
    assert "media" not in capsys.readouterr().out
