"""``retention``: times for which records are kept, and which contradict each other."""

from typing import get_args

import pytest

from vosd.base.secret import Secret
from vosd.cdr.retention import DAY_MS, Age
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.retention import LEAST_OF_SUMS
from vosd.config.named_files import FILE_KEYS, TEXTS, files_of
from vosd.config.reader.fields import FromText, Keys
from vosd.config.reader.files import file_path
from vosd.daemon.average_use import DAYS
from vosd.daemon.scheduled_reports import MADE_UP_MS
from vosd.storage.traffic import ZONE_DAYS_MS


def test_without_the_key_nothing_is_ever_dropped(site):
    kept = site.load(site.minimal).settings.retention
    assert (kept.at_s, kept.calls, kept.ledger, kept.daily_totals, kept.sums) == (None, None, None, None, None)


def test_times_are_days_months_and_years(site):
    text = (
        'at: "03:30", calls: 180 days, ledger: 10 years, numbers: 90 days, daily_totals: 7 months, sums: 5 years, '
        "exports: [/srv/cdr]"
    )
    kept = site.load(f"{site.minimal}retention: {{{text}}}\n").settings.retention
    assert (kept.numbers, kept.sums) == (Age(days=90), Age(months=60))
    assert (kept.at_s, kept.calls, kept.ledger, kept.daily_totals) == (
        12_600,
        Age(days=180),
        Age(months=120),
        Age(months=7),
    )
    assert [str(path) for path in kept.exports] == ["/srv/cdr"]


@pytest.mark.parametrize(
    ("written", "key", "expected"),
    [
        ("calls: 180", "calls", "a number of days, months or years, such as 180 days"),
        ("calls: 0 days", "calls", "a number of days"),
        ("calls: 101 years", "calls", "a number of days"),
        ("{minimum: 6 months, calls: 180 days}", "calls", "at least the 6 months of minimum"),
        ("{minimum: 10 years, calls: 10 years, ledger: 10 years, daily_totals: 9 years}", "daily_totals", "10 years"),
        ("ledger: 1 year", "ledger", "calls as well"),
        ("{calls: 1 year, ledger: 11 months}", "ledger", "the 1 year of calls"),
        ("{calls: 10 days, ledger: 60 days}", "ledger", "at least 3 months"),
        ("sums: 1 year", "sums", "calls as well"),
        ("{calls: 1 year, sums: 11 months}", "sums", "the 1 year of calls"),
        ("{calls: 10 days, sums: 60 days}", "sums", "at least 3 months"),
        ("{minimum: 5 years, calls: 5 years, sums: 59 months}", "sums", "the 5 years of minimum"),
        ('at: "03:30"', "at", "calls, numbers or payments as well"),
        ("payments: 60 days", "payments", "at least 3 months"),
        ("{minimum: 10 years, payments: 9 years}", "payments", "at least the 10 years of minimum"),
        ("payments_archive: /srv/payments", "payments_archive", "payments as well"),
        ("{calls: 180 days, numbers: 181 days}", "numbers", "at most the 180 days of calls"),
    ],
)
def test_what_contradicts_is_an_error(site, written, key, expected):
    keys = written if written.startswith("{") else f"{{{written}}}"
    (error,) = site.errors(f"{site.minimal}retention: {keys}\n")
    assert f"retention.{key}" in error
    assert expected in error


def test_sums_are_kept_for_longer_than_the_switch_itself_reads_them():
    longest_month = 31 * DAY_MS
    needed = max(ZONE_DAYS_MS + 2 * DAY_MS, MADE_UP_MS + longest_month, DAYS * DAY_MS)
    days = (now * DAY_MS for now in range(20_000, 20_000 + 4 * 366))
    assert min(now - LEAST_OF_SUMS.before(now) for now in days) > needed


def _file_keys(model: type[Keys]) -> set[str]:
    """Return the names of all keys that are read as a path, in a model and those below it."""
    found = set()
    for name, field in model.model_fields.items():
        within = [each for kind in get_args(field.annotation) for each in get_args(kind)]
        read_by = [each for each in (*field.metadata, *within) if isinstance(each, FromText)]
        if any(each.expected == file_path().expected for each in read_by):
            found.add(field.alias or name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Keys):
                found |= _file_keys(kind)
    return found


def test_a_backup_has_every_file_that_a_key_can_name(site):
    written = {"state_dir", "payments_archive", "directory", "exports"}
    models = [model for model in _all_models(Keys) if model.__module__.startswith("vosd.config.keys")]
    assert InstallationKeys in models
    named = set().union(*map(_file_keys, models)) - written
    assert named <= FILE_KEYS
    assert {"password_file", "certificate", "routes_file", "file", "roots"} <= named
    site.load(site.minimal)
    (main,) = files_of(site.directory / "vosd.yaml", {})
    assert main.name == "vosd.yaml"


def test_a_text_whose_key_is_called_as_one_of_files_is_no_file(site):
    models = [model for model in _all_models(Keys) if model.__module__.startswith("vosd.config.keys")]
    texts = {
        (model.__name__, name)
        for model in models
        for name, field in model.by_key().items()
        if name in FILE_KEYS - _file_keys(model) and _is_text(field.annotation)
    }
    assert texts == {("HepKeys", "key")}
    assert {("hep", "key")} == TEXTS
    main = site.write("vosd.yaml", "hep: {server: 'udp:127.0.0.1:9060', key: SEKRET}\napi: {tls: {key: api.key}}")
    assert files_of(main, {}) == [main, site.directory / "api.key"]


def _is_text(annotation: object) -> bool:
    return any(kind in {str, Secret} for kind in (annotation, *get_args(annotation)))


def test_a_backup_has_the_files_of_lists_too(site):
    site.write("parts/stir.yaml", "stir: {verify: {roots: [roots/a.pem, roots/b.pem], crl: revoked.pem}}")
    main = site.write("vosd.yaml", "include: parts/stir.yaml")
    parts = site.directory / "parts"
    assert files_of(main, {}) == [
        main,
        parts / "revoked.pem",
        parts / "roots" / "a.pem",
        parts / "roots" / "b.pem",
        parts / "stir.yaml",
    ]


def _all_models(model: type[Keys]) -> list[type[Keys]]:
    return [each for child in model.__subclasses__() for each in (child, *_all_models(child))]
