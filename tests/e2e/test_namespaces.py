"""The proofs behind a real NAT are left out only where the machine has none."""

import os

import pytest

from . import namespaces
from .namespaces import do_without, machine_has_nat


@pytest.mark.parametrize(("has_nat", "outcome"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)])
def test_what_needs_namespaces_fails_where_they_can_be_had_and_is_left_out_elsewhere(has_nat, outcome, monkeypatch):
    monkeypatch.setattr(namespaces, "machine_has_nat", lambda: has_nat)

    with pytest.raises(outcome, match="ip netns add: Operation not permitted"):
        do_without("ip netns add: Operation not permitted")


def test_a_machine_without_the_tools_has_no_nat(monkeypatch):
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")

    assert not machine_has_nat()
