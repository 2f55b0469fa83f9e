"""The recipes of ``docs/api.md`` as they stand there: each is sent, and succeeds."""

import json
import re
import shlex
from pathlib import Path

from doubles.api import Api

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def recipes() -> list[list[str]]:
    """Return the words of each command of the page."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("curl ")]


def test_every_recipe_of_the_page_succeeds(api: Api) -> None:
    for words in recipes():
        method, path, body, headers = "GET", "", None, {}
        rest = iter(words[1:])
        for word in rest:
            match word:
                case "-X":
                    method = next(rest)
                case "-d":
                    body = json.loads(next(rest))
                case "-H":
                    name, _, value = next(rest).partition(": ")
                    headers[name] = value
                case _:
                    path = word.removeprefix("$API")
        found = api.ask(method, path, body, headers=headers)
        assert found.status in {200, 201}, (words, found.content)
