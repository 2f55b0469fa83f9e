"""What import-linter cannot see of the rooms: one wiring, typed owners, protocols instead of questions about a type."""

import ast
import re
from collections import Counter

import grimp
from syntax_nodes import matches, names_in

WIRED = {"Authenticator", "Registrar", "Registrations", "RegistrationWriter", "Switch", "TraceFollowers", "VendorLinks"}
"""Parts of a node, which ``engine.node`` alone makes."""
NAMED_BY_PROTOCOLS = {"Caller", "Substitute"}
"""Both are a ``CallerSide``: no code asks which of them it has."""

IN_CIRCLES = {"api": 3, "b2bua": 20, "engine": 5, "relay": 2, "sip": 16}
"""Modules of each room that import each other in circles: parts that name the type of their whole in annotations, and
in ``api`` the operation that shows the table of operations. Lower the number of a room where a circle is broken."""


def quoted(argument: ast.arg) -> set[str]:
    """Return a forward reference in quotes."""
    annotation = argument.annotation
    return {annotation.value} if isinstance(annotation, ast.Constant) else set()


def test_no_further_modules_import_each_other_in_circles():
    """Imports in functions and for annotations count; those of the console are ``noImportCycles`` of biome."""
    graph = grimp.build_graph("vosd", cache_dir=None)
    circles = {
        module: graph.find_upstream_modules(module) & graph.find_downstream_modules(module) for module in graph.modules
    }
    found = Counter(module.split(".")[1] for module, others in circles.items() if others)
    assert found == IN_CIRCLES, [sorted({each, *others}) for each, others in circles.items() if others]


def test_the_parts_of_a_node_are_made_in_one_place():
    makers = {
        (node.func.id, file)
        for file, node in matches(("engine", "daemon"), *(f"{part}(" for part in WIRED))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WIRED
    }
    assert makers == {(part, "engine/node.py") for part in WIRED}


def test_no_code_asks_for_a_type_that_a_protocol_names():
    asking = [
        f"{file}:{node.lineno}"
        for file, node in matches(("b2bua", "engine"), *NAMED_BY_PROTOCOLS)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "isinstance"
        and names_in(node.args[1]) & NAMED_BY_PROTOCOLS
    ]
    assert asking == []


def is_writing(node: ast.AST) -> bool:
    """Return whether a call writes to a file by itself."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    if name in {"open", "fdopen", "ZipFile"}:
        words = [*node.args, *(each.value for each in node.keywords)]
        modes = {each.value for each in words if isinstance(each, ast.Constant) and isinstance(each.value, str)}
        return any(re.fullmatch(r"[rbt]*[wxa+][bt+]*", mode) for mode in modes) or "O_CREAT" in ast.unparse(node)
    return name in {"write_bytes", "write_text", "touch", "mkstemp", "NamedTemporaryFile"}


def test_verbs_write_files_of_their_users_by_whole_file_alone():
    """It leaves output that is redirected its lines, and makes files for their owner."""
    words = ("open", "ZipFile", "write_bytes", "write_text", "touch", "mkstemp", "NamedTemporaryFile")
    writing = [ast.unparse(node) for _, node in matches(("cli", "wiring"), *words) if is_writing(node)]
    assert writing == []


def test_every_owner_of_an_event_has_a_type():
    untyped = [
        f"{file}:{node.lineno}"
        for file, node in matches(("sip", "b2bua", "engine"), "owner: Any")
        if isinstance(node, ast.arg | ast.AnnAssign)
        and node.annotation is not None
        and "Any" in names_in(node.annotation)
        and "owner" in (node.arg if isinstance(node, ast.arg) else ast.unparse(node.target))
    ]
    assert untyped == []


def test_no_method_of_the_switchboard_takes_a_call_to_look_it_up():
    methods = {
        node.name: {
            name for each in node.args.args if each.annotation for name in names_in(each.annotation) | quoted(each)
        }
        for _, owner in matches(("b2bua",), "Protocol)")
        if isinstance(owner, ast.ClassDef)
        and owner.name in {"SwitchPort", "Switchboard", "GatewayBoard", "MediaBoard", "MoneyBoard"}
        for node in owner.body
        if isinstance(node, ast.FunctionDef)
    }
    assert {"set_deadline", "occupy", "silence"} <= methods.keys()
    assert [name for name, types in methods.items() if "Call" in types] == []


def test_no_text_below_the_command_line_names_an_option_of_it():
    """The management API shows the same text; a field in backticks is an option to those who type it.

    A whole command is a remedy on either.
    """
    nodes = [(file, node) for file, node in matches(("",), "--") if not file.startswith("cli/")]
    documenting = {id(node.value) for _, node in nodes if isinstance(node, ast.Expr)}
    named = [
        f"{file}:{node.lineno}: {node.value}"
        for file, node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documenting
        if " " in node.value
        and not node.value.startswith(" --")
        and re.search(r"(?<![\w-])--[a-z]", node.value.split("vosd ")[0])
    ]
    assert named == []


def test_work_without_a_principal_imports_no_use_case():
    """Forms of a report (a spreadsheet, a page) name the type of the report alone."""
    imports = {
        f"{file}: {node.module}"
        for file, node in matches(("admin",), "vosd.admin.office")
        if isinstance(node, ast.ImportFrom) and not file.startswith("admin/office/")
        if node.module is not None and node.module.startswith("vosd.admin.office")
    }
    assert "admin/spreadsheet.py: vosd.admin.office.reports" in imports
    assert [each for each in imports if not each.endswith(": vosd.admin.office.reports")] == []
