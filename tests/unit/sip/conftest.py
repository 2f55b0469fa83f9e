"""The usual stage: an endpoint that knows a customer and a vendor, and an owner that keeps its events."""

import pytest
from doubles.virtual.probe import Keeper, Probe


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def owner() -> Keeper:
    return Keeper()
