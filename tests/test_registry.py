"""Built-ins, entry points and plugin files are found alike, and a broken one hides nothing."""

import pytest

from helpers import TOY
from unlearnbench.benchmark import origin, registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.method import Method
from unlearnbench.benchmark.registry import Registry

BUILT_IN = {
    "original",
    "oracle",
    "finetune",
    "ascent",
    "neggrad-plus",
    "relabel",
    "salun",
    "sfron",
    "cheat-noise",
    "cheat-remap",
}

PLUGIN = """
from unlearnbench import Method, Problem

class Mine(Method):
    '''Mine.'''
    name = "{name}"
    steps: int = 1

    def unlearn(self, problem: Problem) -> None:
        pass
"""


@pytest.fixture
def methods():
    return Registry(Method, "method", "methods")


def test_the_built_ins_are_there():
    assert set(registry.methods.names()) >= BUILT_IN
    assert "digits-ddpm" in registry.tasks.names()


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_ins_name_is_its_files(name):
    assert registry.methods.get(name).name == name
    assert origin.is_builtin(registry.methods.get(name))


def test_an_unknown_name_among_thousands_lists_a_few():
    from unlearnbench.benchmark.errors import unknown_name

    message = str(unknown_name("network", "foo", [f"name-{number:04}" for number in range(1000)]))
    assert message.startswith("There is no network named 'foo'; known: name-0000, ")
    assert message.endswith(" and 960 more.")


def test_an_unknown_name_says_what_is_close():
    with pytest.raises(BenchmarkError, match="There is no method named 'sfrom'; did you mean sfron?"):
        registry.methods.get("sfrom")
    with pytest.raises(BenchmarkError, match="known: .*digits-ddpm"):
        registry.tasks.get("zzz")


def test_a_plugin_file_of_one_class_is_registered(methods, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="mine"))
    assert methods.add_file(path) == ["mine"]
    assert methods.get("mine")().steps == 1
    assert "mine" in methods.names()
    assert origin.source(methods.get("mine")).distribution == "file"
    assert methods.add_file(path) == ["mine"]  # again: nothing happens


def test_a_taken_name_is_refused(methods, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="sfron"))
    with pytest.raises(BenchmarkError, match="The method name 'sfron' of .*mine.py is taken"):
        methods.add_file(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("def broken(:", "cannot be loaded: SyntaxError"),
        ("raise RuntimeError('on import')", "cannot be loaded: RuntimeError: on import"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError"),
        ("x = 1", "defines no Method and no Task"),
        ("import sys; sys.exit(3)", "cannot be loaded: SystemExit: 3"),
        (PLUGIN.format(name="My Method"), "The method name 'My Method' of .* is not valid"),
    ],
)
def test_a_broken_plugin_file_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "broken.py"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=says) as caught:
        registry.add_plugin(path)
    assert "\n" not in str(caught.value)


def test_a_missing_plugin_file_is_one_sentence(tmp_path):
    with pytest.raises(BenchmarkError, match="There is no plugin file"):
        registry.add_plugin(tmp_path / "nothing.py")


def test_one_file_may_define_methods_and_tasks():
    assert {"toy-good", "toy"} <= set(registry.add_plugin(TOY))


def test_entry_points_are_found_and_a_broken_one_hides_nothing(tmp_path, monkeypatch):
    """A real distribution on the path, as pip would leave it."""
    (tmp_path / "their_methods.py").write_text(PLUGIN.format(name="theirs"))
    info = tmp_path / "their_methods-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-methods\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("their_methods\n")
    (info / "entry_points.txt").write_text(
        "[unlearnbench.methods]\ntheirs = their_methods:Mine\nlost = no_such_module:Lost\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    methods = Registry(Method, "method", "methods")
    assert {"theirs", "lost", "sfron"} <= set(methods.names())
    assert methods.get("theirs").name == "theirs"
    assert origin.source(methods.get("theirs")).distribution == "their-methods 1.0"
    with pytest.raises(BenchmarkError, match="The method 'lost' cannot be loaded: ModuleNotFoundError"):
        methods.get("lost")
    assert methods.get("sfron").name == "sfron"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    name = 'mine'\n    def unlern(self, problem): pass", "its class Mine lacks `unlearn`"),
        ("    def unlearn(self, problem): pass", "its class Mine lacks `name`"),
        (
            "    name = 'mine'\n    lr = 0.1\n    def unlearn(self, problem): pass",
            "the setting 'lr' has no type; write it as",
        ),
        ("    name = 'mine'\n    lr: float = 1 / 0", r"ZeroDivisionError: division by zero \(mine.py, line 5\)"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_of_it(tmp_path, body, says):
    (tmp_path / "mine.py").write_text(f"from unlearnbench import Method\n\nclass Mine(Method):\n{body}\n")
    with pytest.raises(BenchmarkError, match=says):
        registry.add_plugin(tmp_path / "mine.py")
