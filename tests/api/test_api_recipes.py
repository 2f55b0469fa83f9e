"""The recipes of ``docs/api.md`` as they stand there: a shell runs each, and it succeeds."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.api import ADMINISTRATOR, Api
from doubles.migrated import migrated

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The configuration that ships, on a database and a state directory of the test."""
    directory = tmp_path_factory.mktemp("shipped")
    text = (ROOT / "config" / "vosd.yaml").read_text()
    for shipped, here in (
        ("sqlite+aiosqlite:///var/vosd.db", migrated(directory / "vosd.db")),
        ("state_dir: var ", f"state_dir: {directory}/var "),
        ("var/vosd.sock", f"{directory}/vosd.sock"),
        ("127.0.0.1:8080", "127.0.0.1:1"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    config = directory / "vosd.yaml"
    config.write_text(text)
    with Api(config) as process:
        yield process


def test_every_recipe_of_the_page_succeeds(api: Api) -> None:
    assert run_recipes(api, "Recipes") >= 37


def test_the_page_has_twenty_recipes_and_each_says_what_it_does() -> None:
    chapters = PAGE.read_text().split("\n## Recipes", 1)[1]
    assert len(re.findall(r"^# .+$", chapters, re.MULTILINE)) >= 20


def test_the_script_of_the_page_may_be_run_again_and_books_once(api: Api) -> None:
    chapter = PAGE.read_text().split("\n## A script in Python", 1)[1]
    script = re.search(r"```python\n(.*?)```", chapter, re.DOTALL)
    assert script is not None
    environ = {**os.environ, "API": api.url, "TOKEN": ADMINISTRATOR, "COUNT": "3"}
    for _ in range(2):
        words = [sys.executable, "-c", script[1]]
        ran = subprocess.run(words, env=environ, cwd=api.config.parent, capture_output=True, timeout=120, check=False)
        assert (ran.returncode, ran.stderr) == (0, b"")
        balances = json.loads(ran.stdout)
        assert {balances[f"customer-{number}"] for number in range(3)} == {"10.00"}
        assert (api.config.parent / "cdrs.csv").read_text().startswith("call_id")


def run_recipes(api: Api, heading: str, **values: str) -> int:
    """Run the recipes below a heading with variables of the shell, and return their number."""
    chapters = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE))
    sending, recipes = (
        "\n".join(re.findall(r"```sh\n(.*?)```", chapters[each], re.DOTALL)) for each in ("Recipes", heading)
    )
    if heading != "Recipes":
        recipes = "\n".join([next(line for line in sending.splitlines() if line.startswith("api()")), recipes])
    ran = subprocess.run(
        ["bash", "-ec", recipes],
        env={**os.environ, "API": api.url, "TOKEN": ADMINISTRATOR, **values},
        cwd=api.config.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    return recipes.count("\napi ")
