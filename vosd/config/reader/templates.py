"""``template: NAME`` of accounts and gateways: the template's keys are added to those of the object."""

from collections.abc import Set
from typing import Final

from vosd.catalogue.problems import ProblemList, suggestion
from vosd.config.reader.document import Scalar, Section
from vosd.config.reader.renamed import Renamed, hint

TEMPLATES: Final = "templates"
TEMPLATE: Final = "template"


def take_templates(document: Section, problems: ProblemList) -> dict[str, Section]:
    """Remove ``templates`` from the document and return them by name."""
    entry = document.entries.pop(TEMPLATES, None)
    if entry is None or entry.is_empty:
        return {}
    if not isinstance(entry.node, Section):
        problems.error(entry.place, TEMPLATES, "names, each with keys and values")
        return {}
    found = {}
    for name, template in entry.node.entries.items():
        if not isinstance(template.node, Section):
            problems.error(template.place, f"{TEMPLATES}.{name}", "keys and values")
        elif TEMPLATE in template.node.entries:
            place = template.node.entries[TEMPLATE].place
            problems.error(place, f"{TEMPLATES}.{name}.{TEMPLATE}", "no template that builds on another one")
        else:
            found[name] = template.node
    return found


def fill_from_template(item: Section, templates: dict[str, Section], key: str, problems: ProblemList) -> Section:
    """Return the object with its template's keys added; its own keys win."""
    entry = item.entries.get(TEMPLATE)
    if entry is None:
        return item
    name = entry.node.text if isinstance(entry.node, Scalar) else ""
    template = templates.get(name)
    if template is None:
        wanted = (
            f"the name of a template; {suggestion(name, templates)}"
            if templates
            else "a name under templates, of which there is none"
        )
        problems.error(entry.place, f"{key}.{TEMPLATE}", wanted, name or None)
        return Section(item.place, {name: other for name, other in item.entries.items() if name != TEMPLATE})
    filled = {**template.entries, **item.entries}
    del filled[TEMPLATE]
    return Section(item.place, filled)


def check_template_keys(
    templates: dict[str, Section], known: Set[str], elsewhere: Renamed, problems: ProblemList
) -> None:
    """Report every key of a template that no account, gateway or phone has."""
    for name, template in templates.items():
        for key, entry in template.entries.items():
            if key not in known:
                wanted = f"a key of an account or a gateway; {hint(key, known, elsewhere)}"
                problems.error(entry.place, f"{TEMPLATES}.{name}.{key}", wanted)
