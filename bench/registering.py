"""Cost of a REGISTER: processor time from datagram to answer, through endpoint, digest and registrar.

python -m bench.registering [PHONES]

A phone that refreshes its registration sends two REGISTERs, because its last nonce has expired: the first is
challenged, the second refreshes. Sockets and the database are left out; the states queued for writing are counted.
"""

import asyncio
import gc
import sys
import time

from doubles.data.builders import catalogue, phone
from doubles.data.registering import register_bytes
from doubles.memory import MemoryRegistrations
from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message
from doubles.virtual.clock import ManualClock

from vosd.engine.registration.authentication import Authenticator
from vosd.engine.registration.bindings import Registrations
from vosd.engine.registration.registrar import Registrar
from vosd.engine.registration.writer import RegistrationWriter
from vosd.engine.tokens import TokenSource
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RegisterArrived
from vosd.sip.flows import Listener
from vosd.sip.settings import RegistrarSettings, SipSettings
from vosd.sip.wire.outgoing import Peer

REFRESHED_AFTER_MS = 1_800_000
ROUNDS = 4


class RegisterPath:
    """All parts that process a REGISTER."""

    def __init__(self, numbers: list[str]) -> None:
        tokens = TokenSource()
        self.clock = ManualClock()
        content = catalogue([], phones=[phone(number) for number in numbers])
        auth_gate = Authenticator(content, tokens.secret(), tokens.token, lambda _host: False)
        self.endpoint = Endpoint(
            SipSettings(), [Listener("192.0.2.1", 5060)], tokens.token, lambda _host, _port: False, auth_gate=auth_gate
        )
        self.writer = RegistrationWriter(MemoryRegistrations(), self.endpoint.flows, self.clock)
        self.table = Registrations(RegistrarSettings(), self.endpoint.flows, self.writer, self.clock)
        auth_gate.registered = self.table
        self.registrar = Registrar(self.endpoint, self.table, content)

    def receive(self, packets: list[tuple[bytes, Peer]]) -> tuple[float, list[bytes]]:
        """Process packets; return microseconds of processor time for each, and the answers."""
        now, answers = self.clock.now(), []
        gc.collect()
        began = time.process_time()
        for data, source in packets:
            event = self.endpoint.receive_datagram(data, source, now)
            if isinstance(event, RegisterArrived):
                self.registrar.take_register(event)
            answers += self.endpoint.store.out
            self.endpoint.store.out = []
        used_s = time.process_time() - began
        return used_s / len(packets) * 1e6, [each.data for each in answers]


def main() -> None:
    phones = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    numbers = [f"44{number:06}" for number in range(phones)]
    sources = [Peer(0, f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}", 5060) for place in range(phones)]
    path = RegisterPath(numbers)
    print(f"{phones} phones; microseconds of processor time for each REGISTER")
    print("              challenged   let in   waiting to be written")
    for turn in range(ROUNDS):

        def said(place: int, cseq: int, *proof: str) -> tuple[bytes, Peer]:
            number, source = numbers[place], sources[place]
            return register_bytes(
                f"<sip:{number}@{source.host}:5060>",
                aor=f"sip:{number}@vosd",
                call_id=f"{number}@{source.host}",
                cseq=cseq,
                headers=proof,
                via=f"{source.host}:5060",
            ), source

        challenged_us, challenges = path.receive([said(place, 2 * turn + 1) for place in range(phones)])
        proofs = [
            answer_to(Message(data, Address("192.0.2.1", 5060)), Login(number, "secret"), "REGISTER", "sip:vosd")
            for data, number in zip(challenges, numbers, strict=True)
        ]
        renewed_us, answers = path.receive([said(place, 2 * turn + 2, proofs[place] or "") for place in range(phones)])
        assert all(data.startswith(b"SIP/2.0 200 ") for data in answers), answers[0]
        name = "new" if turn == 0 else f"refresh {turn}"
        print(f"{name:12}  {challenged_us:10.1f} {renewed_us:8.1f} {len(path.writer):8}")
        asyncio.run(path.writer.flush())
        path.clock.move_to(path.clock.now().mono + REFRESHED_AFTER_MS)
        for _ in path.endpoint.handle_timers(path.clock.now()):
            pass


if __name__ == "__main__":
    main()
