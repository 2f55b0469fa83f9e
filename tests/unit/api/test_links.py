"""Links of the OpenAPI document lead from an answer to what may be asked or done with its object."""

import json
import re
from pathlib import Path
from typing import Any

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
OPERATIONS = {
    each["operationId"]: (method, path, each)
    for path, methods in DOCUMENT["paths"].items()
    for method, each in methods.items()
}


def links(operation: str, status: str) -> dict[str, Any]:
    """Return the parameters that an answer gives to each operation."""
    found = OPERATIONS[operation][2]["responses"][status].get("links", {})
    return {name: link["parameters"] for name, link in found.items()}


def test_each_link_gives_all_parameters_of_the_path_of_an_operation_that_there_is() -> None:
    count = 0
    for _, _, operation in OPERATIONS.values():
        for answer in operation["responses"].values():
            for name, link in answer.get("links", {}).items():
                count += 1
                assert link["operationId"] == name
                path = OPERATIONS[name][1]
                given = {each.removeprefix("path.") for each in link["parameters"] if each.startswith("path.")}
                assert given == {*re.findall(r"{(\w+)}", path)}, (operation["operationId"], name)
    assert count > 200


def test_what_was_made_is_read_changed_ended_and_listed() -> None:
    made = links("post_accounts", "201")
    name = {"path.name": "$request.body#/name"}
    assert made["get_accounts_name"] == name
    assert made["patch_accounts_name"] == name | {"header.If-Match": "$response.header.ETag"}
    assert {"put_accounts_name", "delete_accounts_name", "get_accounts_name_versions", "get_accounts"} <= made.keys()


def test_from_a_list_its_first_object_is_read_and_not_changed() -> None:
    first = links("get_people", "200")
    assert first["get_people_name"] == {"path.name": "$response.body#/items/0/name"}
    assert {OPERATIONS[name][0] for name in first} == {"get"}


def test_long_work_leads_to_its_job() -> None:
    assert links("post_calls_rerate", "202")["get_jobs_id"] == {"path.id": "$response.body#/id"}
