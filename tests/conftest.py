"""What every test sees: an environment of the tests' own, one thread, and helpers that make records and call the command."""

import private_environment

private_environment.begin()

import os
import subprocess
import sys

import pytest
import torch

from findings import RESULTS
from forked_cli import Commands
from helpers import TINY_DINOV2, TOY
from unlearnbench.benchmark import registry
from warm_servers import Servers

LONG = ("submitting_page", "runner", "contract", "methods", "digits_ddpm", "guard_example", "slurm", "kills")


def pytest_collection_modifyitems(items):
    """Long files come first: of two processes that share the files out, none is left with a long one at the end."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Shows real data to the tests that ask for it, and to the fixtures that are made for them."""
    if item.get_closest_marker("data") is None:
        return (yield)
    with private_environment.real_data():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skips a test whose real data is not there."""
    folders = [folder for mark in item.iter_markers("data") for folder in mark.args]
    if folders and (reason := private_environment.lacking(folders)):
        pytest.skip(reason)


def pytest_unconfigure():
    """Leaves nothing behind."""
    private_environment.end()


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Beside another busy process two threads collapse."""
    torch.set_num_threads(1)


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
def _servers():
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def warm(_servers):
    """From here to the end of a file, commands that are called in this process share servers."""
    with _servers.in_use():
        yield


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


@pytest.fixture(scope="session")
def boards():
    """The committed boards, by title."""
    from unlearnbench.benchmark.records.store import load_records
    from unlearnbench.leaderboard.ranking import rank_all

    return {board.title: board for board in rank_all(load_records([RESULTS]).records)}
