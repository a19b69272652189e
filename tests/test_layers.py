"""The floor plan: who may import whom, and what ships."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers import ROOT

FLOORS = {"benchmark": set(), "methods": {"benchmark"}, "tasks": {"benchmark"}, "leaderboard": {"benchmark"}}


def imported_folders(path: Path) -> set[str]:
    """The top folders that a file imports, relative imports resolved."""
    parts = ("unlearnbench", *path.relative_to(ROOT).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            names = (*base, *(node.module or "").split("."))
            found |= {(*names, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
    return {name[1] for name in found if name[0] == "unlearnbench" and len(name) > 1} & FLOORS.keys()


@pytest.mark.parametrize("floor", FLOORS)
def test_floors_import_only_what_they_may(floor):
    for path in (ROOT / floor).rglob("*.py"):
        allowed = FLOORS[floor] | {floor}
        assert imported_folders(path) <= allowed, f"{path} imports {imported_folders(path) - allowed}"


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_method_is_a_short_file(path):
    assert len(path.read_text().splitlines()) <= 80


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
    assert wanted <= names
    assert not any(name.startswith(("unlearnbench/tests", "unlearnbench/docs")) for name in names)
