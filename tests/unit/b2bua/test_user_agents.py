"""Products of both peers in the record of a call."""

import pytest
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import Scene
from doubles.virtual.vendor import Line, Script, refuses


def test_the_products_of_caller_and_vendor_are_in_the_record():
    scene = Scene()
    scene.vendor.script = Script((Line(0, 100), Line(0, 180), Line(1_000, 200, ANSWER, ("Server: Carrier/2",))))
    call = scene.answered_call(Intent(headers=("User-Agent: Desk/1",)))
    record = scene.finish(call)
    assert (record.caller_user_agent, record.callee_user_agent) == ("Desk/1", "Carrier/2")


@pytest.mark.parametrize(("headers", "product"), [(("User-Agent: Carrier/2",), "Carrier/2"), ((), None)])
def test_without_them_the_columns_are_empty_and_a_refusal_has_that_of_the_last_vendor(headers, product):
    scene = Scene()
    scene.vendor.script = refuses(503, headers=("Server: Carrier/1",))
    scene.vendors[1].script = refuses(486, headers=headers)
    scene.whole_call()
    record = scene.close()
    assert (record.caller_user_agent, record.callee_user_agent) == (None, product)


def test_bytes_that_are_no_text_are_replaced_and_long_products_cut():
    scene = Scene()
    scene.vendor.script = refuses(486, headers=("Server: " + "é" * 300,))
    scene.whole_call(Intent(headers=("User-Agent: x\udcffy",)))
    record = scene.close()
    assert (record.caller_user_agent, record.callee_user_agent) == ("x?y", "é" * 128)
