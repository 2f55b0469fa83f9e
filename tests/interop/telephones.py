"""Two baresip telephones with the switch between them, and what the tests want to know of a call of theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from doubles.sockets.loopback import Endpoint
from e2e.conditions import eventually
from e2e.stage import CALLER, Stage

from .addresses import CUSTOMER_PHONE, VENDOR_PHONE
from .baresip import Baresip

_LOUD: Final = 4_000
"""Half of the amplitude of the tone."""
_WAV_HEADER_BYTES: Final = 44


class Pair:
    """A customer's telephone and a vendor's, and a call from one to the other."""

    def __init__(
        self,
        stage: Stage,
        start: Callable[..., Baresip],
        prefix: str,
        way_in: Endpoint,
        transport: str = "udp",
        *,
        is_relayed: bool = False,
        encryption: tuple[str, str] = ("", ""),
    ) -> None:
        """Switch both telephones on; calls go to ``way_in``, which is the switch or a proxy before it."""
        self.stage = stage
        self.number = stage.number(prefix)
        self.caller = start(CALLER, CUSTOMER_PHONE, transport, encryption=encryption[0])
        self.callee = start(self.number, VENDOR_PHONE, transport, encryption=encryption[1])
        self.transport = transport
        self.is_relayed = is_relayed
        """Whether the switch relays the sound."""
        self._way_in = way_in

    def ring(self) -> None:
        """Dial, until it rings on both sides."""
        self.caller.dial(self.number, self._way_in)
        self.callee.expect("CALL_INCOMING")
        self.caller.expect("CALL_RINGING")

    def establish(self) -> None:
        """Dial and answer, until both sides are connected."""
        self.ring()
        self.callee.accept()
        self.caller.expect("CALL_ESTABLISHED")
        self.callee.expect("CALL_ESTABLISHED")

    def sides(self, who: str) -> tuple[Baresip, Baresip]:
        """Return the telephone of ``caller`` or ``callee``, and the other one."""
        return (self.caller, self.callee) if who == "caller" else (self.callee, self.caller)

    def record(self) -> dict[str, Any]:
        """Return the CDR of the call, once nothing of it is left."""
        self.stage.expect_nothing_left()
        self.stage.expect_clean_log()
        return self.stage.record_of(self.number)


def expect_sound(telephone: Baresip) -> None:
    """Wait until a telephone has heard the other's tone."""
    eventually(lambda: _loudness(telephone.sound()) > _LOUD, f"a tone at {telephone.address}")


def expect_sound_from_now_on(telephone: Baresip) -> None:
    """Wait until a telephone has heard the other's tone after this moment."""
    so_far = telephone.sound().stat().st_size
    eventually(lambda: _loudness(telephone.sound(), so_far) > _LOUD, f"a tone at {telephone.address} from now on")


def hold_and_resume(holder: Baresip, held: Baresip) -> None:
    """Let one side hold and resume, and see both sides agree on it (RFC 3264 section 8.4)."""
    for act, offered, answered in (
        (holder.hold, "a=sendonly", "a=recvonly"),
        (holder.resume, "a=sendrecv", "a=sendrecv"),
    ):
        act()
        held.expect("CALL_REMOTE_SDP", param="offer")
        holder.expect("CALL_REMOTE_SDP", param="answer")
        assert offered in held.received("INVITE")[-1].body
        assert answered in holder.responses("INVITE")[-1].body


def _loudness(sound: Path, start: int = _WAV_HEADER_BYTES) -> int:
    """Return the highest amplitude of a WAV file that is still being written: its header tells no length yet."""
    samples = sound.read_bytes()[start + start % 2 :]
    whole = samples[: len(samples) // 2 * 2]
    return max((abs(sample) for sample in memoryview(whole).cast("h")), default=0)
