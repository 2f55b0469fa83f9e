"""A reload: what may change does, the rest waits, a bad file changes nothing."""

from dataclasses import fields

from vosd.config.reload import RESTART_KEYS, reload
from vosd.engine.settings import LogLevel, Settings


def test_a_changed_catalogue_is_taken(site):
    running = site.load(site.minimal)
    path = site.write("vosd.yaml", site.minimal.replace("id: acme,", "id: acme, max_cps: 3,"))

    outcome = reload(path, running)

    assert outcome.is_accepted
    assert outcome.problems == ()
    assert outcome.in_force.catalogue.accounts["acme"].max_cps == 3
    assert outcome.in_force.catalogue.version != running.catalogue.version


def test_a_bad_file_leaves_the_old_configuration_in_force(site):
    running = site.load(site.minimal)
    path = site.write("vosd.yaml", site.minimal.replace("id: acme,", "id: acme, max_cps: lots,"))

    outcome = reload(path, running)

    assert not outcome.is_accepted
    assert outcome.in_force is running
    assert [problem.key for problem in outcome.problems] == ["accounts[acme].max_cps"]


def test_what_needs_a_restart_keeps_its_running_value_and_is_named(site):
    running = site.load("node: a\nlog: {level: info}\n")
    path = site.write(
        "vosd.yaml",
        """
        node: b
        sip:
          listen: udp:127.0.0.1:5070
        database:
          url: sqlite+aiosqlite:///other.db
        state_dir: elsewhere
        shutdown_grace: 5
        log: {level: debug}
        """,
    )

    outcome = reload(path, running)

    assert [site.shown(str(problem)) for problem in outcome.problems] == [
        f"vosd.yaml:{line}: warning: {key}: expected a restart: the change takes effect after it"
        for line, key in ((1, "node"), (3, "sip.listen"), (5, "database.url"), (6, "state_dir"))
    ]
    settings = outcome.in_force.settings
    assert (settings.node, settings.listen, settings.database_url) == (
        "a",
        running.settings.listen,
        running.settings.database_url,
    )
    assert (settings.log_level, settings.shutdown_grace_s) == (LogLevel.DEBUG, 5)


def test_a_change_that_waits_is_named_again_at_the_next_reload(site):
    running = site.load("node: a\n")
    path = site.write("vosd.yaml", "node: b\n")

    again = reload(path, reload(path, running).in_force)

    assert [problem.key for problem in again.problems] == ["node"]


def test_a_setting_that_is_removed_is_named_too(site):
    running = site.load("node: a\n")
    path = site.write("vosd.yaml", "# nothing\n")

    assert [site.shown(str(problem)) for problem in reload(path, running).problems] == [
        "vosd.yaml: warning: node: expected a restart: the change takes effect after it"
    ]


def test_every_setting_either_waits_for_a_restart_or_is_taken_at_once():
    taken_at_once = {"shutdown_grace_s", "on_sigterm", "log_level", "keep_alive", "overload"}

    assert {field.name for field in fields(Settings)} == RESTART_KEYS.keys() | taken_at_once
