"""A scene whose customer transfers by keys, and what its tests do again and again."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Side
from vosd.media.relay import MediaRelay
from vosd.media.rtpengine_orders import MediaEngines
from vosd.trunks.dialect import CallerDialect, TransferKeys

TARGET: Final = "442071111111"
KEYS: Final = TransferKeys(blind="*1", attended="*2", cancel="*0", end="*9")
SETTLED_MS: Final = 40_000


def keypad_scene(
    keys: TransferKeys | None = KEYS,
    *,
    balance: str = "100",
    parameters: Mapping[str, Any] | None = None,
    relay: MediaRelay | None = None,
    rtpengines: MediaEngines | None = None,
    kind: Callable[..., Scene] = Scene,
    **terms: Any,
) -> Scene:
    """Make a customer with these keys and a vendor; ``terms`` are others of the customer's dialect."""
    dialect = CallerDialect(transfer_keys=keys, **terms)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect)
    return kind(
        catalogue([trunk, vendor_gateway(0)], **(parameters or {})), balance=balance, relay=relay, rtpengines=rtpengines
    )


def talking(scene: Scene, *headers: str) -> OutgoingCall:
    """Make a call and return it a second after its answer."""
    return scene.answered_call(Intent(headers=headers), talk_ms=1_000)


def press(scene: Scene, side: Side, keys: str, every_ms: int = 300) -> None:
    """Press keys, one after the other."""
    for key in keys:
        side.ask("INFO", body=f"Signal={key}\r\nDuration=160\r\n", kind="application/dtmf-relay")
        scene.wire.run_for(every_ms)


def press_in_turn(scene: Scene, side: Side, keys: str) -> None:
    """Press keys as a telephone sends them that waits for the answer to each before the next one."""
    for key in keys:
        asking = side.ask("INFO", body=f"Signal={key}\r\nDuration=160\r\n", kind="application/dtmf-relay")
        scene.wire.run_until(lambda: asking not in side.asking, within_ms=SETTLED_MS)  # noqa: B023


def passed_on(side: Side) -> str:
    """Return the keys that a side has received."""
    return "".join(info.body[len("Signal=")] for info in side.asked["INFO"])


def reasons(scene: Scene) -> list[str]:
    """Return why the calls ended, in the order of their ends."""
    return [record.end_reason for record in scene.exchange.sink.records]
