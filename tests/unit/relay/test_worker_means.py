"""Workers that a later start replaces, by what they have and it has."""

import resource
import sys

import pytest
from msgspec.structs import replace

from vosd.processes import rights
from vosd.relay.protocol import WorkerMeans
from vosd.relay.worker_process import own_means

MEANS = WorkerMeans("/opt/vosd/releases/1/vosd", 0b10, 1, 1_024)


def test_a_worker_lacks_what_the_start_has_above_it():
    assert not MEANS.lacks(MEANS)
    assert not MEANS.lacks(replace(MEANS, rights=0, priority=0, files=512))
    for newer in (
        replace(MEANS, program="/opt/vosd/releases/2/vosd"),
        replace(MEANS, rights=0b11),
        replace(MEANS, priority=2),
        replace(MEANS, files=2_048),
    ):
        assert MEANS.lacks(newer)


def test_no_limit_is_above_all_limits(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1_024, resource.RLIM_INFINITY))
    assert own_means().files == own_means().priority == sys.maxsize


@pytest.mark.parametrize(
    ("user", "inherited", "had"), [(0, "0", 1 << 12 | 1 << 23), (998, "1000", 1 << 12), (998, "0", 0)]
)
def test_programs_of_a_user_get_the_rights_that_are_inherited(monkeypatch, user, inherited, had):
    status = f"Name:\tpython\nCapInh:\t{inherited.zfill(16)}\nCapPrm:\t0000000000801001\nCapEff:\t0000000000000000\n"
    monkeypatch.setattr(rights.Path, "read_text", lambda _path: status)
    monkeypatch.setattr(rights.os, "geteuid", lambda: user)
    assert rights.media_rights() == had
