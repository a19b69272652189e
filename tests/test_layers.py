"""The floor plan: who may import whom, and what ships."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from helpers import ROOT

FLOORS = {"benchmark": set(), "methods": {"benchmark"}, "tasks": {"benchmark"}, "leaderboard": {"benchmark"}}
"""The floors, and what each may import beside itself; the command line, the test plugin and `docs/make` stand on top."""
ROOMS = {path.parent.name for path in (ROOT / "tasks").glob("*/family.py")}
LARGEST_FILE, KIT_MODULES = 400, 20


def product_files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.py"), *(file for top in (*FLOORS, "docs") for file in (root / top).rglob("*.py"))])


def import_graph(root: Path) -> dict[str, set[str]]:
    """Every module of the product and what it imports of the product, for the type checker alone included."""
    files = {}
    for path in product_files(root):
        parts = path.relative_to(root).with_suffix("").parts
        files[".".join(("unlearnbench", *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return {name: set(imports(name, path, files)) - {name} for name, path in files.items()}


def imports(name: str, path: Path, modules: Collection[str]) -> Iterator[str]:
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                # What is no module is something in one.
                yield from [found for found in (f"{base}.{alias.name}", base) if found in modules][:1]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in turn, or nothing."""
    done, way = set(), []

    def visit(module: str) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        way.append(module)
        for imported in sorted(graph[module]):
            if found := visit(imported):
                return found
        done.add(way.pop())
        return []

    return next(filter(None, map(visit, sorted(graph))), [])


GRAPH = import_graph(ROOT)


def floor_of(module: str) -> str | None:
    """The floor of a module; None for the top."""
    names = module.split(".")
    return names[1] if len(names) > 1 and names[1] in FLOORS else None


@pytest.mark.parametrize("floor", FLOORS)
def test_floors_import_only_what_they_may(floor):
    for module in (module for module in GRAPH if floor_of(module) == floor):
        wrong = {other for other in GRAPH[module] if floor_of(other) not in FLOORS[floor] | {floor}}
        assert not wrong, f"{module} imports {', '.join(sorted(wrong))}"


def test_no_modules_import_each_other():
    assert not circle(GRAPH), f"a circle: {' imports '.join(circle(GRAPH))}"


def test_families_import_what_others_share_and_only_suppression_another_family():
    for module, imported in GRAPH.items():
        family = module.removeprefix("unlearnbench.tasks.").partition(".")[0]
        if family in ROOMS and ".tasks." in module:
            others = {other.split(".")[2] for other in imported if ".tasks." in other} & ROOMS - {family}
            # Its latent transformer is a class-conditional diffusion model like those of class forgetting.
            assert others <= ({"class_forgetting"} if family == "class_suppression" else set()), module


def test_a_circle_or_an_upward_import_is_seen_however_it_is_written(tmp_path):
    for name, text in {
        "__main__.py": "",
        "benchmark/__init__.py": "",
        "benchmark/one.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import two\n",
        "benchmark/two.py": "def late():\n    from .three import Thing\n",
        "benchmark/three.py": "import unlearnbench.benchmark.one\n",
        "tasks/task.py": "from ..benchmark.one import x\nfrom .. import __main__\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = import_graph(tmp_path)
    assert graph["unlearnbench.tasks.task"] == {"unlearnbench.benchmark.one", "unlearnbench.__main__"}
    assert [name.rpartition(".")[2] for name in circle(graph)] == ["one", "two", "three", "one"]


def test_the_authors_kit_is_small_and_no_file_is_long():
    kit = [path.name for path in (ROOT / "benchmark").glob("*.py")]
    assert len(kit) <= KIT_MODULES, kit
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in product_files(ROOT)}
    assert not {name: lines for name, lines in lengths.items() if lines > LARGEST_FILE}


def test_every_room_ships_and_the_programs_that_write_pages_do_not():
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    rooms = {path.parent.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).rglob("*.py")}
    assert packages == {"unlearnbench", *(".".join(("unlearnbench", *room.parts)) for room in rooms)}
    assert all((ROOT / room / "__init__.py").is_file() for room in rooms)


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_method_is_a_short_file(path):
    assert len(path.read_text().splitlines()) <= 95


def test_the_leaderboard_needs_no_torch():
    for path in (ROOT / "leaderboard").rglob("*.py"):
        assert "torch" not in path.read_text().replace("PyTorch", ""), path


def test_families_and_the_whole_leaderboard_are_loaded_without_torch():
    code = """
import importlib, pkgutil, sys
from unlearnbench import leaderboard
from unlearnbench.benchmark import registry
for module in pkgutil.walk_packages(leaderboard.__path__, leaderboard.__name__ + "."):
    importlib.import_module(module.name)
print(*(family.name for family in registry.families.built_in()))
print("unlearnbench.leaderboard.columns" in sys.modules, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["class-forgetting class-suppression image-to-image one-shot", "True False"]


def test_a_run_is_planned_without_the_libraries_that_only_the_run_needs():
    code = """
import sys
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.running import runner
for entries in (registry.tasks, registry.methods):
    for name in entries.names():
        entries.get(name)
print(*sorted({"datasets", "diffusers", "pandas", "scipy.stats", "sklearn", "timm", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.slow
def test_no_library_is_loaded_on_a_methods_clock():
    code = """
import sys
import torch
from unlearnbench.benchmark.running.identity import make_method, make_task
runs = [
    ("digits-ddpm", "selective-amnesia", {"steps": 1, "replay": 2}),
    ("digits-dit", "erasediff", {"steps": 1}),
    ("digits-mae", "li2024", {"steps": 1}),
    ("digits-vae", "uno", {"steps": 1}),
]
for task, method, settings in runs:
    made = make_method(method, settings)
    problem = make_task(task, {}).problem(made, 0, torch.device("cpu"))
    problem.warm_up()
    before = set(sys.modules)
    made.unlearn(problem)
    print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.slow
def test_the_wheel_holds_every_module_template_record_and_asset(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True
    )
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    wanted = {
        f"unlearnbench/{path.relative_to(ROOT)}"
        for folder in FLOORS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    # The site of who installs a wheel holds the documentation, too.
    wanted |= {f"unlearnbench/{path.relative_to(ROOT)}" for path in ROOT.glob("docs/*.*") if path.suffix != ".py"}
    wanted |= {f"unlearnbench/{name}" for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff")}
    assert wanted <= names
    assert not any(name.startswith(("unlearnbench/tests", "unlearnbench/docs/make")) for name in names)
