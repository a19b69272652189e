"""Nothing that comes from elsewhere is ever unpickled: checkpoints are safetensors or read as weights alone."""

import ast
from pathlib import Path

import pytest

from helpers import ROOT

FOLDERS = ("benchmark", "leaderboard", "methods", "tasks")
BANNED_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
ALLOWED_NAMES = {"pickle.UnpicklingError"}
"""An exception's class: what PyTorch raises on a damaged file. Naming it runs nothing."""
LOADERS = {"torch.load": "weights_only", "np.load": "allow_pickle", "numpy.load": "allow_pickle"}
SAFE = {"weights_only": True, "allow_pickle": False}
BANNED_CALLS = {"pd.read_pickle", "pandas.read_pickle", "torch.hub.load", "eval", "exec"}


def sources():
    yield from ROOT.glob("*.py")
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def unsafe(text: str) -> list[str]:
    """What a source does that could run somebody's bytes."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and dotted(node).partition(".")[0] in BANNED_MODULES:
            found += [] if dotted(node) in ALLOWED_NAMES else [dotted(node)]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in BANNED_MODULES:
            found.append(f"from {node.module}")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in BANNED_MODULES - {"pickle"}]
            found += [
                f"{alias.name} as {alias.asname}" for alias in node.names if alias.name == "pickle" and alias.asname
            ]
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            keyword = LOADERS.get(name)
            given = {item.arg: getattr(item.value, "value", None) for item in node.keywords}
            if name in BANNED_CALLS or (keyword and given.get(keyword) is not SAFE[keyword]):
                found.append(name)
            if given.get("allow_pickle") or given.get("trust_remote_code") or given.get("weights_only") is False:
                found.append(name)
    return found


def test_no_source_of_the_package_unpickles_anything():
    scanned = list(sources())
    assert len(scanned) > 80
    assert {str(path): found for path in scanned if (found := unsafe(path.read_text()))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(file)",
        "import pickle as p",
        "from pickle import loads",
        "import joblib",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "torch.load(file, weights_only=choice)",
        "np.load(file)",
        "np.load(file, allow_pickle=True)",
        "pd.read_pickle(file)",
        "Model.from_pretrained(name, trust_remote_code=True)",
        "eval(text)",
    ],
)
def test_the_scan_finds_what_it_looks_for(text):
    assert unsafe(text)


@pytest.mark.parametrize(
    "text", ["torch.load(file, weights_only=True)", "model.eval()", "except pickle.UnpicklingError: pass"]
)
def test_the_scan_lets_pass_what_is_safe(text):
    assert not unsafe(f"try: pass\n{text}" if text.startswith("except") else text)


def test_a_job_is_pickled_as_words_and_its_result_is_never_read():
    """submitit hands its function over as a pickle: it is submitit's own class around the words of a command, made here.

    Whoever can replace that file can write the results folder, and submitit would run what they put there, so the folder
    must be the user's own. What jobs leave, which a plugin could have written, is read as JSON records alone.
    """
    text = (ROOT / "benchmark" / "running" / "slurm.py").read_text()
    called = {dotted(node.func).rpartition(".")[2] for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert "CommandFunction" in called
    assert not called & {"results", "exception", "load", "loads"}
    attributes = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert "result" not in attributes


def test_a_hostile_checkpoint_runs_nothing(tmp_path):
    """PyTorch's restricted reader, as every call in the package uses it."""
    import pickle

    import torch

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "evil.pt", weights_only=True)
    assert not (tmp_path / "ran").exists()
