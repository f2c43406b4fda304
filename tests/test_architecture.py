"""Which libraries are used where, and what is loaded when. The layers are contracts in pyproject.toml."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import bulk_onboard

ROOT = Path(bulk_onboard.__file__).parent
VAGUE = {"utils", "util", "helpers", "common", "base", "manager", "misc"}
LINES = 400

# Package -> the modules (or folders) that may import it.
CONFINED = {
    "duckdb": {"workspace", "reports"},
    "aiohttp": {"leaf", "sandbox", "notify", "readers", "ui"},
    "apprise": {"notify"},
    "fsspec": {"readers"},
    "keyring": {"settings"},
    "sqlalchemy": {"ledger"},
    "dask": {"cluster"},
    "distributed": {"cluster"},
    "psycopg": {"ledger"},
    "click": {"cli"},
    "jinja2": {"reports"},
    "tqdm": {"cli"},
    "pydantic": {"ledger", "sandbox", "settings"},
    "pydantic_settings": {"sandbox", "settings"},
    "aiolimiter": {"pace"},
    "xlrd": {"readers"},
    "openpyxl": {"readers", "workbook"},
}


def _name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def _nodes(tree: ast.AST, *, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a tree; those for the type checker only do not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _nodes(node, lazy=lazy)


def _targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, "imports are absolute"
    assert node.module is not None
    for alias in node.names:
        # `from bulk_onboard import codes` imports a module, `from bulk_onboard.codes import x` a name.
        full = f"{node.module}.{alias.name}"
        yield full if full.removeprefix("bulk_onboard.") in MODULES else node.module


@cache
def imported(module: str, *, lazy: bool = True) -> frozenset[str]:
    """Everything a module imports, by full name."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return frozenset(target for node in _nodes(tree, lazy=lazy) for target in _targets(node))


def ours(module: str, *, lazy: bool = True) -> set[str]:
    """Which of our own modules a module imports; "" is the package itself."""
    names = {name for name in imported(module, lazy=lazy) if name.split(".")[0] == "bulk_onboard"}
    return {name.removeprefix("bulk_onboard").removeprefix(".") for name in names} - {module}


def place(module: str) -> str:
    """The folder of a module, "" for one at the top."""
    first = module.split(".", maxsplit=1)[0]
    return first if (ROOT / first).is_dir() and module else ""


def test_a_package_is_imported_only_where_it_belongs() -> None:
    wrong = [
        f"{package} does not belong in {module}"
        for module in MODULES
        for package in CONFINED.keys() & {target.split(".")[0] for target in imported(module)}
        if not CONFINED[package] & {module, place(module)}
    ]
    assert not wrong


def test_no_module_has_a_vague_name() -> None:
    assert not [module for module in MODULES if VAGUE & set(module.split("."))]


def test_no_module_is_too_long() -> None:
    long = {
        name: lines for name, path in MODULES.items() if (lines := len(path.read_text().splitlines())) > LINES
    }
    assert not long


def test_there_is_no_import_cycle() -> None:
    graph = {name: ours(name) & MODULES.keys() - {""} for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circle: {' -> '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def _loaded_by(program: str) -> set[str]:
    show = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


HEAVY = {
    "jinja2",
    "pandas",
    "numpy",
    "pyarrow",
    "aiohttp",
    "pydantic",
    "sqlalchemy",
    "tqdm",
    "asyncio",
    "uvloop",
}


@pytest.mark.parametrize("argv", ["--help", "--version", "providers"])
def test_informative_commands_load_no_heavy_package(argv: str) -> None:
    program = f"from bulk_onboard.cli.main import main; main(['{argv}'])"
    assert not _loaded_by(program) & HEAVY


def test_the_entry_loads_nothing_heavy() -> None:
    assert not _loaded_by("import bulk_onboard.cli.main") & HEAVY


def test_the_help_of_run_loads_no_data_frame() -> None:
    program = "from bulk_onboard.cli.main import main; main(['run', '--help'])"
    assert not _loaded_by(program) & {"pandas", "aiohttp", "sqlalchemy", "pydantic"}


def test_no_module_has_the_name_of_a_public_function() -> None:
    # Importing a module puts it in the place of the package's attribute of that name.
    assert not set(bulk_onboard.__all__) & {name.partition(".")[0] for name in MODULES}


# What Windows does not have, or not in this way.
POSIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "uvloop"}


def test_modules_import_on_windows() -> None:
    for module in MODULES.keys() - {""}:
        assert not {name.split(".")[0] for name in imported(module, lazy=False)} & POSIX_ONLY, module
