"""``media.sounds`` and ``announcements``: files that are read, names that exist, and what a mistake says."""

from pathlib import Path

import pytest
from doubles.data.wavs import wav

from vosd.catalogue.problems import ConfigError
from vosd.config.assembly import sounds as assembly
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.config.named_files import files_of
from vosd.config.reader.sounds import sound_files, sound_name, sounds_by_reason
from vosd.trunks.announcements import GatewaySound

RELAY = "media: {engine: relay, sounds: {busy: sounds/busy.wav}"


@pytest.fixture(autouse=True)
def files(site) -> Path:
    directory: Path = site.directory / "sounds"
    directory.mkdir()
    (directory / "busy.wav").write_bytes(wav())
    return directory


def with_trunk(site, keys: str, media: str) -> str:
    return f"{site.minimal.replace('hosts: 192.0.2.1', f'hosts: 192.0.2.1, {keys}')}{media}\n"


def test_files_of_other_codecs_beside_a_wav_belong_to_it(site, files):
    (files / "busy.g729").write_bytes(bytes(40))
    (files / "busy.txt").write_text("busy")
    (found,) = site.load(f"{site.minimal}{RELAY}}}\n").catalogue.parameters.sounds.values()
    assert (found.name, sorted(found.by_codec)) == ("busy", ["g729", "pcma", "pcmu"])
    assert {each.name for each in files_of(site.directory / "vosd.yaml")} == {"vosd.yaml", "busy.wav", "busy.g729"}


def test_a_sound_may_be_ready_made_alone(site, files):
    (files / "only.g722").write_bytes(bytes(320))
    text = f"{site.minimal}media: {{engine: relay, sounds: {{only: sounds/only.g722}}}}\n"
    assert list(site.load(text).catalogue.parameters.sounds["only"].by_codec) == ["g722"]


def test_only_a_file_that_has_changed_is_read_again(site, files, monkeypatch):
    first = site.load(f"{site.minimal}{RELAY}}}\n").catalogue
    monkeypatch.setattr(assembly, "read_bytes", lambda *_: pytest.fail("it is read again"))
    second = site.load().catalogue
    assert second.parameters.sounds["busy"] is first.parameters.sounds["busy"]
    assert second.version == first.version
    monkeypatch.undo()
    (files / "busy.wav").write_bytes(wav(bytes(3_200)))
    third = site.load().catalogue
    assert third.parameters.sounds["busy"].duration_ms == 200
    assert third.version != first.version


def test_announcements_are_those_of_the_installation_and_of_a_trunk(site):
    media = f"{RELAY}, announcements: {{Busy: busy, no_answer: busy}}}}"
    catalogue = site.load(with_trunk(site, "announcements: {busy: none}", media)).catalogue
    assert catalogue.parameters.media.announcements == {"Busy": "busy", "No Answer": "busy"}
    (gateway,) = catalogue.mapping_gateways.values()
    assert gateway.dialect.announcements == {"Busy": ""}


@pytest.mark.parametrize(
    ("media", "problem"),
    [
        ("sounds: {busy: sounds/gone.wav}", "media.sounds.busy: value 'sounds/gone.wav': expected a readable file"),
        ("sounds: {busy: sounds}", "media.sounds.busy: value 'sounds': expected a file that ends in .wav"),
        (
            "sounds: {busy: sounds/stereo.wav}, announcements: {Busy: busy}",
            "value 'sounds/stereo.wav': expected one channel (mono), not 2",
        ),
        ("sounds: {busy: sounds/empty.g729}", "expected raw frames of G729, 20 bytes for 20 ms"),
        ("sounds: {busy: sounds/folder.wav}", "expected a readable file: is a directory"),
        ("sounds: {none: sounds/busy.wav}", "media.sounds.none: value 'sounds/busy.wav': expected a name of letters"),
        ("sounds: {a: sounds/long.wav}, announcements: {Busy: a}", "announcements.Busy: value 'a, 31 seconds'"),
        ("announcements: {Busy: bussy}", "expected the name of a sound of media.sounds; there is none yet"),
        ("sounds: {busy: sounds/busy.wav}, announcements: {Busy: bussy}", "did you mean 'busy'?"),
        ("announcements: {Normal: busy}", "expected an end reason of calls without answer: Account Capacity, "),
        ("announcements: {Busy: [busy]}", "expected the name of a sound of media.sounds, or none"),
        ("announcements: busy", "expected end reasons and sounds, such as {Busy: busy, No Answer: absent}"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_was_expected(site, files, media, problem):
    (files / "stereo.wav").write_bytes(wav(channels=2))
    (files / "long.wav").write_bytes(wav(bytes(31 * 16_000)))
    (files / "empty.g729").write_bytes(b"")
    (files / "folder.wav").mkdir()
    (error,) = site.errors(f"{site.minimal}media: {{engine: relay, {media}}}\n")
    assert error.startswith("vosd.yaml:11: media.")
    assert problem in error


def test_the_sound_of_a_warning_is_one_of_five_seconds_at_most(site, files):
    media = "media: {engine: relay, sounds: {busy: sounds/busy.wav, long: sounds/long.g729}, end_warning_sound: "
    (files / "long.g729").write_bytes(bytes(5_000))
    loaded = site.load(f"{site.minimal}{media}long}}\n")
    assert loaded.catalogue.parameters.media.end_warning_sound == "long"
    (files / "long.g729").write_bytes(bytes(6_000))
    (error,) = site.errors(f"{site.minimal}{media}long}}\n")
    assert "media.end_warning_sound: value 'long, 6 seconds': expected a sound of at most 5 seconds" in error
    (error,) = site.errors(f"{site.minimal}{media}buzy}}\n")
    assert "media.end_warning_sound: value 'buzy': expected the name of a sound of media.sounds" in error
    assert site.load(site.minimal).catalogue.parameters.media.end_warning_sound == ""


def test_all_sounds_together_have_a_limit(site, monkeypatch):
    monkeypatch.setattr(assembly, "ALL_BYTES_MAX", 3_000)
    (error,) = site.errors(f"{site.minimal}{RELAY}}}\n")
    assert "media.sounds: " in error
    assert "together" in error


@pytest.mark.parametrize(
    ("engine", "warned"),
    [
        ("none", 2),
        ("relay", 0),
        ("rtpengine, rtpengine: [{name: a, address: 192.0.2.5:2223}]", 0),
        ("rtpengine, fallback: relay, rtpengine: [{name: a, address: 192.0.2.5:2223}]", 0),
    ],
)
def test_nothing_is_played_without_an_engine(site, engine, warned):
    sounds = "sounds: {busy: sounds/busy.wav}, announcements: {Busy: busy}"
    text = with_trunk(site, "announcements: {Rejected: busy}", f"media: {{engine: {engine}, {sounds}}}")
    found = [each for each in site.warnings(text) if "announcements: expected media.engine relay" in each]
    assert len(found) == warned


def test_one_warning_is_about_all_announcements_that_are_not_played_and_none_of_them_is_read_again(site):
    """A template may have the announcements of all phones: each of them was read again by each load."""
    media = "media: {sounds: {busy: sounds/busy.wav}}"
    phones = [
        f"{{number: {number}, account: acme, password: a-long-secret-7, announcements: {{busy: busy}}}}"
        for number in range(1_001, 1_009)
    ]
    text = f"{with_trunk(site, 'announcements: {busy: busy}', media)}\nphones: [{', '.join(phones)}]\n"
    remembered = Remembered()
    problems = load(site.write("vosd.yaml", text), {}, remembered=remembered).problems
    (found,) = [each for each in problems if each.key.endswith(".announcements")]
    assert "phones[1004] and 4 others are not played" in found.expected
    assert not any(remembered.apart.values())


def test_a_trunk_that_did_not_change_is_checked_again_when_sounds_change(site):
    text, remembered = with_trunk(site, "announcements: {Busy: busy}", f"{RELAY}}}"), Remembered()
    path = site.write("vosd.yaml", text)
    load(path, {}, remembered=remembered)
    site.write("vosd.yaml", text.replace("{busy: sounds/busy.wav}", "{other: sounds/busy.wav}"))
    with pytest.raises(ConfigError, match=r"announcements\.Busy"):
        load(path, {}, remembered=remembered)


def test_a_trunk_that_did_not_change_is_checked_again_when_a_file_is_too_long_for_its_announcement(site, files):
    media = "media: {engine: relay, sounds: {busy: sounds/busy.g729}}"
    path, remembered = site.write("vosd.yaml", with_trunk(site, "announcements: {Busy: busy}", media)), Remembered()
    (files / "busy.g729").write_bytes(bytes(30_000))
    before = load(path, {}, remembered=remembered).catalogue.mapping_gateways["acme-pbx"]
    (files / "busy.g729").write_bytes(bytes(31_000))
    with pytest.raises(
        ConfigError, match=r"announcements\.Busy: value 'busy, 31 seconds': expected a sound of at most 30"
    ):
        load(path, {}, remembered=remembered)
    (files / "busy.g729").write_bytes(bytes(20_000))
    assert load(path, {}, remembered=remembered).catalogue.mapping_gateways["acme-pbx"] is before


def test_values_are_written_as_they_are_read():
    assert sound_name().write(sound_name().read("NONE")) == "none"
    assert sounds_by_reason().read({"user-busy".replace("user-", ""): "a"}) == {"Busy": "a"}
    with pytest.raises(ValueError):
        sound_files().read({f"n{number}": "f" for number in range(501)})


def gateway(site, keys: str, media: str = "sounds: {busy: sounds/busy.wav}") -> str:
    text: str = site.minimal.replace("address: 192.0.2.9", keys)
    return f"{text}media: {{engine: relay, {media}}}\n"


def test_a_routing_gateway_may_be_an_announcement(site):
    catalogue = site.load(gateway(site, "type: announcement, sound: busy, repeat: 2, end_code: 503")).catalogue
    carrier = catalogue.routing_gateways["carrier"]
    assert carrier.sound == GatewaySound("busy", 2, 503)
    assert (carrier.addresses, carrier.allow_unrated) == ((), True)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("type: announcement", "sound: expected the sound of an announcement"),
        ("type: announcement, sound: gone", "value 'gone': expected the name of a sound of media.sounds"),
        ("type: announcement, sound: busy, address: 192.0.2.9", "expected trunk: an announcement has no address"),
        ("sound: busy, address: 192.0.2.9", "sound: value 'busy': expected type announcement as well"),
        ("type: announcement, sound: busy, end_code: 200", "end_code"),
    ],
)
def test_a_gateway_is_one_or_the_other(site, keys, problem):
    (error,) = site.errors(gateway(site, keys))
    assert "routing_gateways[carrier]." in error
    assert problem in error


def test_music_on_hold_is_that_of_the_installation_or_of_a_trunk(site):
    catalogue = site.load(with_trunk(site, "music_on_hold: none", f"{RELAY}, music_on_hold: busy}}")).catalogue
    assert catalogue.parameters.media.music_on_hold == "busy"
    (gateway,) = catalogue.mapping_gateways.values()
    assert gateway.media.music == ""
    (error,) = site.errors(with_trunk(site, "music_on_hold: gone", f"{RELAY}}}"))
    assert "mapping_gateways[acme-pbx].music_on_hold: value 'gone'" in error
    (error,) = site.errors(f"{site.minimal}{RELAY}, music_on_hold: gone}}\n")
    assert "media.music_on_hold: value 'gone'" in error


def test_music_that_nothing_plays_is_a_warning(site):
    media = "media: {sounds: {busy: sounds/busy.wav}, music_on_hold: busy}"
    warnings = site.warnings(with_trunk(site, "music_on_hold: busy", media))
    assert len([each for each in warnings if "music_on_hold: " in each]) == 2
