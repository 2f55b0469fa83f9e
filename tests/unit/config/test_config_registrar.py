"""``sip.registration.registrar``: what registrations may be, and what it may not say."""

import pytest

from vosd.sip.settings import RegistrarSettings


def test_without_a_word_about_it_an_hour_is_granted(site):
    assert site.load("node: a").settings.sip.registrar == RegistrarSettings(3_600, 60, 7_200, 10, 100_000)


def test_every_setting_of_the_registrar_arrives(site):
    text = "{default_expires: 600, min_expires: 30, max_expires: 900, max_contacts: 1, max_registrations: 50}"
    settings = site.load(f"sip: {{registrar: {text}}}").settings
    assert settings.sip.registrar == RegistrarSettings(600, 30, 900, 1, 50)


def test_the_hour_of_the_default_gives_way_to_the_bounds(site):
    assert site.load("sip: {registrar: {max_expires: 600}}").settings.sip.registrar.default_s == 600


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("{min_expires: 900, max_expires: 600}", "max_expires", "no less than min_expires"),
        ("{default_expires: 60, min_expires: 90}", "default_expires", "no less than min_expires and no more than max"),
        ("{default_expires: 8000}", "default_expires", "no less than min_expires and no more than max_expires"),
        ("{min_expires: 4000}", "min_expires", "from 10 to 3600"),
        ("{max_contacts: 0}", "max_contacts", "from 1 to 100"),
    ],
)
def test_bounds_that_contradict_each_other_are_named(site, text, key, expected):
    (error,) = site.errors(f"sip: {{registrar: {text}}}")
    assert f"sip.registrar.{key}: " in error
    assert expected in error
