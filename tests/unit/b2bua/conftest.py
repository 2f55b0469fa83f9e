"""The usual stage: a customer with 100.00, two vendors that both take 44."""

from collections.abc import Iterator

import pytest
from doubles.conformance import faults_of
from doubles.races import UPDATING
from doubles.virtual.customer import KNOWS_UPDATE, Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import Scene
from doubles.virtual.vendor import IncomingCall


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Set the stage; whatever the test is about, a strict peer must have found no fault with what the switch said."""
    scene = Scene()
    yield scene
    assert faults_of(scene.wire.packets, SWITCH) == []


@pytest.fixture
def ends_that_update(scene: Scene) -> tuple[OutgoingCall, IncomingCall]:
    """Give both ends of a call in talk that know UPDATE."""
    return scene.talk(Intent(headers=KNOWS_UPDATE), UPDATING)
