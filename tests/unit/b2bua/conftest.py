"""The usual stage: a customer with 100.00, two vendors that both take 44."""

import pytest

from vosd.testing.scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()
