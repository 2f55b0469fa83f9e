"""The column about media of ``vosd route explain``."""

import msgspec
import pytest

from vosd.cli.routes import _show
from vosd.control.routes import CandidateSheet, MediaStepSheet, RouteSheet

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
        (None, None, "by steps 6 to 8"),
    ],
)
def test_each_gateway_says_whether_media_are_relayed_and_by_which_step(relayed, step, words, capsys):
    candidate = msgspec.structs.replace(FIRST, relayed=relayed, media_step=step)
    _show(sheet(candidate))
    _, heads, row = capsys.readouterr().out.splitlines()
    assert heads.split()[-1] == "media"
    assert row.endswith(words)


def test_gateways_with_the_same_steps_by_networks_and_nat_share_their_lines(capsys):
    steps = [
        MediaStepSheet(6, relayed=False, reason="one network"),
        MediaStepSheet(7, relayed=None, reason="seen in the call"),
        MediaStepSheet(8, relayed=False, reason="nothing else"),
    ]
    by_networks = [MediaStepSheet(6, relayed=True, reason="private and public")]
    first = msgspec.structs.replace(FIRST, relayed=None, media_step=None, media_steps=steps)
    third = msgspec.structs.replace(FIRST, routing_gateway="third", relayed=True, media_step=6, media_steps=by_networks)
    shown = sheet(first)
    second = msgspec.structs.replace(first, routing_gateway="second")
    _show(msgspec.structs.replace(shown, candidates=[first, second, third]))
    assert capsys.readouterr().out.splitlines()[5:] == [
        "",
        "media of first, second by networks and NAT:",
        "  step 6: no, one network",
        "  step 7: not known, seen in the call",
        "  step 8: direct, nothing else",
        "",
        "media of third by networks and NAT:",
        "  step 6: relayed, private and public",
    ]


def test_encryption_of_both_sides_stands_beside_the_step(capsys):
    candidate = msgspec.structs.replace(FIRST, relayed=True, media_step=5, encryption="caller required, ICE")
    _show(sheet(candidate))
    assert "relayed, step 5 (encryption: caller required, ICE)" in capsys.readouterr().out


def test_without_an_engine_there_is_no_such_column(capsys):
    _show(sheet(FIRST))
    assert "media" not in capsys.readouterr().out
