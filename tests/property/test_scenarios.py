"""The scenarios by which two versions of vosd are compared (``scenarios``) depend on nothing but their seed."""

import pytest
import scenarios

SEEDS = range(40)


def test_the_scenarios_are_of_every_kind():
    kinds = {scenarios.run(seed)[0] for seed in SEEDS}
    calls = {f"{what} {how}" for what in ("plan", "day") for how in ("plain", "replaced", "killed", "kept")}
    assert kinds == {*calls, "set-up"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scenario_that_runs_again_has_the_same_transcript(seed):
    assert scenarios.run(seed) == scenarios.run(seed)
