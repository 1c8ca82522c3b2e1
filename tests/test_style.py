# SPDX-License-Identifier: GPL-3.0-or-later
"""The house style, as far as a machine can see it. CONTRIBUTING.md has the rest."""

import ast
import importlib.util
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("appliance", "webui", "tests", "image", "overlay", ".ci")
LICENSE_LINE = "# SPDX-License-Identifier: GPL-3.0-or-later"
MODULE_LINES = 300
FUNCTION_LINES = 50
FUNCTION_MEDIAN = 10
LONGER_MODULES = {"appliance/mtp/codes.py"}  # a table of numbers, best read in one place


def files(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from (path for path in sorted((ROOT / room).rglob("*")) if path.is_file())


def is_shell(path: Path) -> bool:
    if path.suffix == ".sh":
        return True
    with path.open("rb") as file:
        first = file.readline(64)
    return first.startswith(b"#!") and first.split(b"/")[-1].split()[-1] in (b"sh", b"bash")


PYTHON = [path for path in files(*ROOMS) if path.suffix == ".py"]
SHELL = [path for path in files(*ROOMS) if is_shell(path)]
PRODUCT = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in ("appliance", "webui")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", "--strict")],
    ids=" ".join,
)
def test_tool_has_nothing_to_say(command: tuple[str, ...]) -> None:
    if importlib.util.find_spec(command[0]) is None:
        pytest.fail(f"{command[0]} is not installed: pip install -e '.[dev]', or make test")
    run(sys.executable, "-m", *command)


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.fail("shellcheck is not installed: apt-get install shellcheck")
    run("shellcheck", *map(name, SHELL))


@pytest.mark.parametrize("path", PYTHON + SHELL, ids=name)
def test_licence_is_named_at_the_top(path: Path) -> None:
    lines = path.read_text().splitlines()
    first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
    assert first == [LICENSE_LINE], f"{name(path)} should begin with: {LICENSE_LINE}"


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_module_fits_in_the_mind(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MODULE_LINES or name(path) in LONGER_MODULES, f"{lines} lines: cut it in two"


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (
                f"{name(path)}:{node.lineno} {node.name}",
                (node.end_lineno or 0) - node.lineno + 1,
            )


def test_functions_fit_in_the_eye() -> None:
    lengths = dict(function for path in PRODUCT for function in functions(path))
    too_long = {where: length for where, length in lengths.items() if length > FUNCTION_LINES}
    assert not too_long
    assert statistics.median(lengths.values()) <= FUNCTION_MEDIAN


def broad_excepts(source: str) -> list[int]:
    """Lines of handlers that catch whatever comes, and neither raise it again nor log it whole."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _owns_up(node)
    ]


def _owns_up(handler: ast.ExceptHandler) -> bool:
    if isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None:
        return True
    return any(
        isinstance(node, ast.Attribute) and node.attr == "exception" for node in ast.walk(handler)
    )


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    return caught is None or (
        isinstance(caught, ast.Name) and caught.id in ("Exception", "BaseException")
    )


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_excepts_are_narrow(path: Path) -> None:
    lines = broad_excepts(path.read_text())
    assert not lines, f"{name(path)}, lines {lines}: name the errors that are expected"


@pytest.mark.parametrize(
    ("handler", "broad"),
    [
        ("except:\n pass", True),
        ("except Exception:\n pass", True),
        ("except (OSError, Exception) as e:\n log(e)", True),
        ("except BaseException:\n undo()\n raise", False),
        ("except Exception:\n log.exception('DEFECT')\n answer()", False),
        ("except OSError:\n pass", False),
    ],
)
def test_broad_excepts_are_found(handler: str, *, broad: bool) -> None:
    assert bool(broad_excepts(f"try:\n work()\n{handler}")) is broad
