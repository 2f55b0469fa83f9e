"""A backup of a running switch, restored: every call is in the books once, whether its journal was lost or not."""

import shutil

from e2e.conditions import eventually

from .test_lost_commits import books, expect_mended, pay, talk


def test_calls_after_the_backup_are_booked_from_the_journal_and_a_new_machine_goes_on_with_the_backup(stage, tmp_path):
    scene = stage()
    pay(scene, "100")
    talk(scene, 3)
    scene.answered(1, first=100)  # goes on during the backup, and after it
    made = scene.daemon.ask("backup", str(tmp_path / "one.zip"))
    at_backup = books(scene)
    assert made["tables"]["cdr"] == 3
    talk(scene, 4)
    scene.customer.hang_up(scene.customer.answered[3])
    eventually(lambda: len(scene.records()) == 8, "the call that went on is booked")
    before = books(scene)
    assert scene.daemon.interrupt() == 0

    restored = scene.daemon.ask("restore", made["file"], "--replace", "--verify")
    assert (restored["tables"]["cdr"], restored["state"], restored["differences"]) == (3, "kept", [])
    scene.daemon.start()
    expect_mended(scene, 5)
    assert books(scene) == before
    assert scene.daemon.interrupt() == 0

    for path in (*tmp_path.glob("vosd.db*"), tmp_path / "var"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    restored = scene.daemon.ask("restore", made["file"], "--verify")
    assert (restored["tables"]["cdr"], restored["state"], restored["replaced"]) == (3, "restored", None)
    scene.daemon.start()
    eventually(lambda: scene.daemon.ask("status")["calls"] == 1, "the call that was answered then goes on")
    assert books(scene) == at_backup
    assert scene.daemon.ask("ledger", "verify")["differences"] == []


def test_a_payment_that_the_backup_lacks_is_named_and_calls_that_were_booked_again_are_not(stage, tmp_path):
    scene = stage()
    talk(scene, 1)
    made = scene.daemon.ask("backup", str(tmp_path / "one.zip"))
    pay(scene, "70")
    talk(scene, 2)
    balances = books(scene)[0]
    assert scene.daemon.interrupt() == 0

    scene.daemon.ask("restore", made["file"], "--replace")
    scene.daemon.start()

    expect_mended(scene, 2)
    (mended,) = scene.events("database_mended")
    assert mended["balances"].keys() == {"acme"}
    assert mended["balances"]["acme"].startswith(f"was {balances['acme']}, is ")
    assert mended["balances"]["acme"].endswith(", 70.00 less")
    assert books(scene)[0]["carrier"] == balances["carrier"]
