"""The journal is removed: under the running switch no call is lost, and a start says that it is missing."""

import shutil

from e2e.conditions import eventually


def alarms(scene):
    found = scene.daemon.ask("alarms")
    return [each["alarm"] for each in found if each["alarm"] == "journal_removed"]


def test_calls_go_on_over_a_kill_after_the_journal_was_removed(stage, tmp_path):
    scene = stage()
    journal = tmp_path / "var/journal"
    scene.answered(3)
    shutil.rmtree(journal)
    eventually(lambda: scene.events("journal_recovered"), "the journal is begun anew")
    assert alarms(scene) == ["journal_removed"]
    scene.daemon.kill()
    scene.daemon.start()
    assert scene.daemon.ask("status")["calls"] == 3
    scene.daemon.kill()
    shutil.rmtree(journal)
    scene.daemon.start()
    assert scene.daemon.ask("status")["calls"] == 0
    assert scene.events("journal_removed")[-1]["means"].endswith("are lost")
    scene.daemon.succeed("alarms", "--confirm", "journal_removed", "--note", "compared")
    assert alarms(scene) == []


def test_a_start_in_another_directory_says_that_the_calls_of_before_are_not_there(stage, tmp_path):
    scene = stage()
    config = tmp_path / "vosd.yaml"
    scene.answered(2)
    scene.daemon.kill()
    text = config.read_text()
    (tmp_path / "moved").mkdir()
    config.write_text(text.replace(str(tmp_path / "var"), str(tmp_path / "moved")))
    scene.daemon.start()
    assert alarms(scene) == ["journal_removed"]
    assert "another state_dir" in scene.events("journal_removed")[-1]["means"]
