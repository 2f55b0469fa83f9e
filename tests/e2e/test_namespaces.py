"""The proofs behind a real NAT are left out only where that is known."""

import os

import pytest

from .namespaces import WITHOUT, do_without


@pytest.mark.parametrize(
    ("user", "said", "outcome"),
    [
        (0, None, pytest.fail.Exception),
        (0, "", pytest.fail.Exception),
        (0, "0", pytest.fail.Exception),
        (0, "1", pytest.skip.Exception),
        (1000, None, pytest.skip.Exception),
        (1000, "1", pytest.skip.Exception),
    ],
)
def test_root_that_is_refused_namespaces_fails_unless_it_was_said_to_do_without(user, said, outcome, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.delenv(WITHOUT, raising=False)
    if said is not None:
        monkeypatch.setenv(WITHOUT, said)

    with pytest.raises(outcome, match="ip netns add: Operation not permitted"):
        do_without("ip netns add: Operation not permitted")
