"""The recipes of ``docs/api.md`` as they stand there: a shell runs each, and it succeeds."""

import os
import re
import subprocess
from pathlib import Path

from doubles.api import ADMINISTRATOR, Api

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_recipe_of_the_page_succeeds(api: Api) -> None:
    assert run_recipes(api, "Recipes") >= 17


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
