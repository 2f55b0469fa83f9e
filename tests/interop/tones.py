"""Telephones with two tones: ``cd tests && python -m interop.tones [WORD ...]``; part of ``make interop``.

baresip calls baresip through the switch, each in a network namespace of its own, in every mode of the media: not
relayed, by the relay, by an rtpengine. Each plays a tone of its own. sox looks for the tones in what each telephone has
recorded, and, since baresip records no more after a hold, in what has come to its network. One line a case; it fails
where a tone is missing, or another one is there. WORDs choose cases by their names.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from doubles.daemon import Daemon
from doubles.data.wavs import tone, wav
from doubles.sockets.loopback import Endpoint
from e2e.conditions import eventually
from e2e.stage import Stage

from .baresip import Baresip
from .laboratory import AT_HOME, OFFICES, OFFICES6, ROUTERS, SWITCH, SWITCH6, Laboratory, Receiver
from .rtpengine import Rtpengine

SIP: Final = Endpoint(SWITCH, 5060)
SIP6: Final = Endpoint(f"[{SWITCH6}]", 5060)
CONTROL: Final = Endpoint(SWITCH, 2_223)
TONES: Final = {"a": 440, "b": 1_000, "c": 700, "home": 440, "cottage": 1_000}
MUSIC: Final = 1_600
NUMBERS: Final = {name: f"700{number}" for number, name in enumerate(TONES, 1)}
TELEPHONE_PORTS: Final = range(20_000, 30_000)
MODES: Final = {"off": "engine: relay, mode: off", "relay": "engine: relay, mode: on", "rtpengine": ""}
HEARD_BYTES: Final = 8_000
"""Samples of a second."""
SHARE: Final = 0.9
"""Least part of the power that is in the tone."""
QUIET: Final = 0.005
"""Amplitude of silence."""

CONFIGURATION: Final = """\
node: laboratory
sip: {listen: ["udp:SIP", "udp:SIX"], overload: {max_lag: 0}}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
shutdown_grace: 1
media: {MEDIA}
parameters: {SS_RTP_PORT_RANGE: "30000,30399", IVR_RTP_PORT: "30400,30499"}
rate_groups:
  - {name: sell, rates: [{prefix: "7", billing_rate: "0.60", billing_cycle: 6}]}
accounts:
  - {id: family, type: direct, rate_group: sell, overdraft_limit: "unlimited"}
phones:
PHONES
"""


class ToneError(AssertionError):
    """A telephone has heard something else."""


class Line:
    """The switch of one mode and the telephones at it."""

    def __init__(self, laboratory: Laboratory, directory: Path, mode: str) -> None:
        self._laboratory = laboratory
        self._directory = directory
        self.mode = mode
        self._open = ExitStack()
        self._telephones: dict[str, Baresip] = {}
        self._receivers: dict[str, Receiver] = {}

    def __enter__(self) -> "Line":
        with ExitStack() as opening:
            network = self._laboratory.networks["switch"]
            media = MODES[self.mode]
            if self.mode == "rtpengine":
                engine = Rtpengine(
                    self._directory, "engine", CONTROL, (20_000, 20_999), also=(SWITCH6,), network=network
                )
                opening.enter_context(engine)
                media = f"engine: rtpengine, mode: on, rtpengine: [{{name: engine, address: '{CONTROL}'}}]"
            elif self.mode == "relay":
                media += ", sounds: {music: music.wav}, music_on_hold: music"
            (self._directory / "music.wav").write_bytes(wav(tone(1_000, MUSIC).tobytes()))
            phones = "\n".join(
                f'  - {{number: "{each}", account: family, password: secret}}' for each in NUMBERS.values()
            )
            text = CONFIGURATION.replace("SIP", str(SIP), 1).replace("SIX", str(SIP6))
            text = text.replace("MEDIA", media).replace("PHONES", phones)
            daemon = opening.enter_context(Daemon(self._directory, text, prepare=network.enter))
            self.stage = Stage(daemon, SIP)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.__exit__(*exception)

    def telephone(self, name: str, *, is_version6: bool = False) -> Baresip:
        """Switch a telephone on, and wait until it is registered."""
        directory = self._directory / name
        directory.mkdir()
        sound = directory / "tone.wav"
        sound.write_bytes(wav(tone(60_000, TONES[name]).tobytes()))
        host = OFFICES6[name] if is_version6 else OFFICES.get(name) or AT_HOME[name]
        network = self._laboratory.networks[name]
        telephone = Baresip(
            directory,
            NUMBERS[name],
            Endpoint(host, 5060),
            sound,
            "udp",
            SIP6 if is_version6 else SIP,
            network,
            is_version6=is_version6,
        )
        self._telephones[name] = self._open.enter_context(telephone)
        self._receivers[name] = self._open.enter_context(closing(Receiver(network, TELEPHONE_PORTS)))
        eventually(lambda: NUMBERS[name] in self._registered(), f"{name} is registered", within_s=60)
        return telephone

    def _registered(self) -> set[str]:
        return {str(each["name"]) for each in self.stage.daemon.ask("registrations")}

    def seen_at(self, name: str) -> str:
        """Return where a telephone is registered from."""
        return next(str(e["received"]) for e in self.stage.daemon.ask("registrations") if e["name"] == NUMBERS[name])

    def call(self, caller: str, callee: str, *, switch: Endpoint = SIP) -> None:
        """Let one telephone call another one, which answers."""
        self._telephones[caller].dial(NUMBERS[callee], switch)
        self._telephones[callee].expect("CALL_INCOMING", 30)
        self._telephones[callee].accept()
        for name in (caller, callee):
            self._telephones[name].expect("CALL_ESTABLISHED", 30)

    def hang_up(self, name: str) -> Mapping[str, Any]:
        """Let a telephone end its call; return the record of the call that began last."""
        self._telephones[name].hang_up()
        self.stage.expect_nothing_left(30)
        records = eventually(self.stage.records, "a CDR")
        self.stage.expect_clean_log()
        return max(records, key=lambda record: str(record["started_at"]))

    def expect_tone(self, name: str, hertz: int) -> None:
        """Wait until a tone, and nothing else, comes to a telephone for a second."""
        receiver, heard = self._receivers[name], b""
        receiver.taken()

        def is_heard() -> bool:
            nonlocal heard
            heard = (heard + receiver.taken())[-HEARD_BYTES:]
            return len(heard) >= HEARD_BYTES and share(self._written(name, heard), hertz) >= SHARE

        eventually(is_heard, lambda: f"{hertz} Hz at {name}: {len(heard)} samples", within_s=60)

    def expect_silence(self, name: str) -> None:
        """Wait until a telephone is sent nothing, or silence, for a second."""
        receiver = self._receivers[name]

        def is_silent() -> bool:
            receiver.taken()
            heard = receiver.taken(1.0)
            return len(heard) < HEARD_BYTES // 10 or amplitude(self._written(name, heard)) < QUIET

        eventually(is_silent, f"silence at {name}", within_s=60)

    def expect_recorded(self, name: str, hertz: int) -> None:
        """Look for a tone in what a telephone has recorded of its latest call."""
        recorded = self._telephones[name].sound()
        part = share(recorded, hertz)
        if part < SHARE:
            raise ToneError(f"{name} has recorded {part:.0%} of {hertz} Hz in {recorded}")

    def _written(self, name: str, samples: bytes) -> Path:
        path = self._directory / f"{name}.ul"
        path.write_bytes(samples)
        return path


def share(sound: Path, hertz: int) -> float:
    """Return which part of a sound's amplitude is in a tone, as sox measures it."""
    whole = amplitude(sound)
    return amplitude(sound, "sinc", f"{hertz - 60}-{hertz + 60}") / whole if whole > QUIET else 0.0


def amplitude(sound: Path, *effects: str) -> float:
    """Return the root mean square of a sound, as sox measures it."""
    kind = ("-t", "ul", "-r", "8000", "-c", "1") if sound.suffix == ".ul" else ("--ignore-length",)
    done = subprocess.run(
        ("sox", *kind, str(sound), "-n", *effects, "stat"), capture_output=True, text=True, check=True
    )
    found = re.search(r"RMS\s+amplitude:\s+([\d.]+)", done.stderr)
    return float(found[1]) if found else 0.0


def between_two(line: Line, one: str, other: str, *, switch: Endpoint = SIP) -> None:
    """Let two telephones hear each other, and look at what they have recorded."""
    line.call(one, other, switch=switch)
    line.expect_tone(other, TONES[one])
    line.expect_tone(one, TONES[other])
    record = line.hang_up(one)
    line.expect_recorded(one, TONES[other])
    line.expect_recorded(other, TONES[one])
    assert record["end_reason"] == "Normal"
    assert (record["media"] is None) is (line.mode == "off"), record["media"]
    if line.mode != "off":
        assert record["media"]["engine"] == line.mode


def plain(line: Line) -> None:
    """Two telephones with addresses that both can reach."""
    line.telephone("a")
    line.telephone("b")
    between_two(line, "a", "b")
    between_two(line, "b", "a")


def nat(line: Line) -> None:
    """Two homes behind routers that give every stream another port."""
    for name in ("home", "cottage"):
        line.telephone(name)
        assert line.seen_at(name).startswith(f"{ROUTERS[name]}:")
        assert not line.seen_at(name).endswith(":5060"), "the router changes ports"
    between_two(line, "home", "cottage")


def hold(line: Line, one: str = "a", other: str = "b") -> None:
    """A hold and its end by either side; with music, where the relay plays it."""
    telephones = {name: line.telephone(name) for name in (one, other)}
    line.call(one, other)
    line.expect_tone(other, TONES[one])
    line.expect_tone(one, TONES[other])
    for holder, held in ((one, other), (other, one)):
        telephones[holder].hold()
        telephones[held].expect("CALL_REMOTE_SDP", param="offer")
        line.expect_silence(holder)
        if line.mode == "relay":
            line.expect_tone(held, MUSIC)
        telephones[holder].resume()
        line.expect_tone(held, TONES[holder])
        line.expect_tone(holder, TONES[held])
    line.hang_up(other)


def transfer(line: Line, one: str = "a", other: str = "b") -> None:
    """The caller transfers the called side to a third telephone, and leaves."""
    telephones = {name: line.telephone(name) for name in (one, other, "c")}
    line.call(one, other)
    line.expect_tone(other, TONES[one])
    telephones[one].transfer(f"sip:{NUMBERS['c']}@{SIP}")
    telephones["c"].expect("CALL_INCOMING", 30)
    telephones["c"].accept()
    telephones["c"].expect("CALL_ESTABLISHED", 30)
    line.expect_tone(other, TONES["c"])
    line.expect_tone("c", TONES[other])
    line.hang_up("c")
    line.expect_recorded("c", TONES[other])


def families(line: Line) -> None:
    """A telephone with IPv4 and one with IPv6."""
    line.telephone("a")
    line.telephone("b", is_version6=True)
    between_two(line, "a", "b")
    between_two(line, "b", "a", switch=SIP6)


CASES: Final[Mapping[str, Callable[[Line], None]]] = {
    "plain": plain,
    "nat": nat,
    "hold": hold,
    "transfer": transfer,
    "families": families,
    "nat, hold": partial(hold, one="home", other="cottage"),
    "nat, transfer": partial(transfer, one="home", other="cottage"),
}
NEED_A_RELAY: Final = {"nat", "families", "nat, hold", "nat, transfer"}


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vosd-tones-") as directory:
        yield Path(directory)


def main() -> int:
    """Carry all cases out, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="parts of the names of cases")
    words = parser.parse_args().words
    failed = 0
    for name, case in CASES.items():
        for mode in MODES:
            label = f"{name} {mode}"
            is_wanted = any(word in label for word in words) if words else True
            if not is_wanted or (mode == "off" and name in NEED_A_RELAY):
                continue
            try:
                with Laboratory() as laboratory, scratch() as directory, Line(laboratory, directory, mode) as line:
                    case(line)
                verdict = "heard"
            except AssertionError as error:
                failed += 1
                verdict = f"FAILED: {error}"
            print(f"{label:20} {verdict}", flush=True)  # noqa: T201
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
