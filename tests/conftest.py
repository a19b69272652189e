"""What every test sees: no hub, one thread, and helpers that make records and call the command line as a user does."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from forked_cli import Commands
from helpers import TINY_DINOV2, TOY
from unlearnbench.benchmark import registry

# Data sets that a developer keeps beside the clone; tests that need one are skipped where it is not there.
DATA = Path(__file__).parents[2] / "shared" / "data"
if DATA.is_dir():
    os.environ.setdefault("UNLEARNBENCH_DATA", str(DATA))


LONG = ("submitting_page", "runner", "contract", "methods", "digits_ddpm", "guard_example", "slurm", "kills")


def pytest_collection_modifyitems(items):
    """Long files come first: of two processes that share the files out, none is left with a long one at the end."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


@pytest.fixture(autouse=True, scope="session")
def _one_thread(tmp_path_factory):
    """Beside another busy process two threads collapse."""
    torch.set_num_threads(1)
    os.environ["HF_HOME"] = str(tmp_path_factory.mktemp("hf-home"))


@pytest.fixture(scope="session")
def toy():
    """The toy plugin's module, registered as a user's ``--plugin`` is."""
    registry.add_plugin(TOY)
    return sys.modules[registry.methods.get("toy-good").__module__]


@pytest.fixture(scope="session")
def _commands():
    commands = Commands()
    yield commands
    commands.close()


@pytest.fixture
def cli(tmp_path, _commands):
    """Calls the command in an empty folder and returns the finished process."""

    def call(*arguments: str, timeout: float = 240, env: dict[str, str] | None = None):
        return _commands.run([*map(str, arguments)], tmp_path, {**os.environ, "COLUMNS": "160", **(env or {})}, timeout)

    return call


@pytest.fixture
def fresh_cli(tmp_path):
    """The same in a new interpreter."""

    def call(*arguments: str):
        return subprocess.run(
            [sys.executable, "-m", "unlearnbench", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=240,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "160"},
        )

    return call


@pytest.fixture(scope="session")
def dinov2_file(tmp_path_factory):
    """Weights of a tiny transformer of the same family at its own input size of 518, as the hub's file has them."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch14_dinov2", pretrained=False, num_classes=0, **TINY_DINOV2)
    path = tmp_path_factory.mktemp("dinov2") / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def tiny_dinov2(monkeypatch):
    """The kind of extractor that takes that file."""
    from unlearnbench.tasks.judges.extractors import KINDS, Weights

    kind = KINDS["dinov2-small"]._replace(
        dimensions=24, options=TINY_DINOV2, weights=Weights("tiny.safetensors", "hub:timm/tiny/model.safetensors", None)
    )
    monkeypatch.setitem(KINDS, "dinov2-small", kind)
    return kind
