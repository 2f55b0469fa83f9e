"""The recipes of ``docs/api.md`` as they stand there: a shell runs each, and it succeeds."""

import os
import re
import subprocess
from pathlib import Path

from doubles.api import ADMINISTRATOR, Api

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_recipe_of_the_page_succeeds(api: Api) -> None:
    recipes = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert recipes.count("\napi ") >= 17
    ran = subprocess.run(
        ["bash", "-ec", recipes],
        env={**os.environ, "API": api.url, "TOKEN": ADMINISTRATOR},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
