"""Phones with any devices behind any contacts: the right devices ring, in order, and one correct record is left."""

from typing import NamedTuple

from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.exploring import examples
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, Script, answers, refuses
from hypothesis import given, settings, strategies as st

NUMBER = "44201"
NEXT = {404, 408, 480, 488, 500, 503}
STOP = {486, 600, 603}
DEVICES: dict[str, tuple[Script, int]] = {
    "answers": (answers(), 200),
    "silent": (SILENT, 0),
    **{str(code): (refuses(code), code) for code in sorted(NEXT | STOP)},
}


class Device(NamedTuple):
    """One device: its preference in tenths, and what it does."""

    q: int
    does: str


@settings(max_examples=examples(40, 600), deadline=None)
@given(st.lists(st.builds(Device, st.integers(0, 10), st.sampled_from(sorted(DEVICES))), max_size=4), st.booleans())
def test_devices_are_tried_in_order_until_one_decides(devices, has_offline_gateway):
    offline = {"offline_gateway": "vendor-0"} if has_offline_gateway else {}
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = Scene(catalogue(known, phones=[phone(NUMBER, **offline)]))
    places = []
    for index, device in enumerate(devices):
        place = Endpoint("203.0.113.66", 40_000 + index)
        places.append(place)
        desk = scene.exchange.telephone(NUMBER, place, script=DEVICES[device.does][0])
        desk.register(f"<sip:{index}@{place}>;q={device.q / 10:.1f}")
        scene.wire.run_for(1_000)
    call = scene.caller.call(NUMBER, Intent(hang_up_after_ms=5_000))
    scene.wire.run_until(lambda: call.is_over, within_ms=120_000)

    order = sorted(range(len(devices)), key=lambda index: (-devices[index].q, -index))
    codes: list[int] = []
    tried: list[Endpoint] = []
    for index in order:
        code = DEVICES[devices[index].does][1]
        codes.append(code)
        tried.append(places[index])
        if code == 200 or code in STOP:
            break
    else:
        if has_offline_gateway:
            codes.append(200)
            tried.append(VENDORS[0])
    record = scene.close()
    assert [attempt.code for attempt in record.attempts] == codes
    assert record.destination_address == (str(tried[-1]) if tried else None)
    if 200 in codes:
        assert (call.final, record.end_reason) == (200, "Normal")
    elif not codes:
        assert (call.final, record.end_reason, record.hangup_source) == (480, "Unavailable", "switch")
    else:
        assert (call.final or 0) >= 400
        assert record.sip_code == call.final
    assert (record.vendor_account is None) == (not codes or tried[-1] != VENDORS[0])
