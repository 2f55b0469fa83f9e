"""Fixtures of the interoperability tests: one switch for all, and peers on scratch directories."""

import math
import struct
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from string import Template

import pytest
from doubles.certificates import Authority, Certificate
from doubles.daemon import Daemon
from doubles.home import Namespace
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.stage import SQLITE, Stage

from .addresses import HOME_SWITCH, SWITCH, TLS_HOME_SWITCH, TLS_SWITCH
from .baresip import Baresip

HERE = Path(__file__).parent
TONE_HZ = 440
SAMPLES_PER_SECOND = 8_000
TONE_SECONDS = 30
LOUDNESS = 8_000


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for the switch and for telephones over TLS."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Stage]:
    """The switch that every test here shares."""
    directory = tmp_path_factory.mktemp("interop")
    certificate = authority.issue("switch", SWITCH.host)
    values = {
        "network": NETWORK,
        "switch": str(SWITCH),
        "tls_switch": str(TLS_SWITCH),
        "certificate": str(certificate.file),
        "private_key": str(certificate.key),
        "root": str(authority.root.file),
        "database": SQLITE,
    }
    configuration = Template((HERE / "switch.yaml").read_text()).safe_substitute(values)
    with Daemon(directory, configuration) as daemon:
        stage = Stage(daemon, SWITCH)
        yield stage
        stage.expect_nothing_left()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Stage]:
    """The switch that telephones register with."""
    directory = tmp_path_factory.mktemp("home")
    certificate = authority.issue("home", HOME_SWITCH.host)
    values = {
        "switch": str(HOME_SWITCH),
        "tls_switch": str(TLS_HOME_SWITCH),
        "certificate": str(certificate.file),
        "private_key": str(certificate.key),
        "root": str(authority.root.file),
        "database": SQLITE,
    }
    with Daemon(directory, Template((HERE / "home.yaml").read_text()).safe_substitute(values)) as daemon:
        stage = Stage(daemon, HOME_SWITCH)
        yield stage
        stage.expect_nothing_left()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file: what telephones say in these tests."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    wave_of_one = [
        round(LOUDNESS * math.sin(2 * math.pi * TONE_HZ * sample / SAMPLES_PER_SECOND))
        for sample in range(SAMPLES_PER_SECOND)
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES_PER_SECOND)
        file.writeframes(struct.pack(f"<{len(wave_of_one)}h", *wave_of_one) * TONE_SECONDS)
    return path


@pytest.fixture(scope="session")
def certificate_of(authority: Authority) -> Callable[[str], Certificate]:
    """Return the certificate of telephones at an address, made for the first of them."""
    return cache(lambda host: authority.issue(f"telephone-{host}", host))


@pytest.fixture
def baresip(
    tmp_path: Path, tone: Path, authority: Authority, certificate_of: Callable[[str], Certificate]
) -> Iterator[Callable[..., Baresip]]:
    """Start telephones; they are switched off after the test."""
    with ExitStack() as running:

        def start(
            number: str,
            address: Endpoint,
            transport: str = "udp",
            registrar: Endpoint | None = None,
            network: Namespace | None = None,
            *,
            encryption: str = "",
        ) -> Baresip:
            directory = tmp_path / number
            directory.mkdir()
            telephone = Baresip(directory, number, address, tone, transport, registrar, network, encryption=encryption)
            telephone.trust(authority, certificate_of(address.host))
            return running.enter_context(telephone)

        yield start
