"""The command line, called as a user calls it."""

import json
import re
import resource

import pytest

import unlearnbench
from helpers import ROOT, TOY, anchors, between, make_record
from unlearnbench.benchmark.records.store import write_record


def one_sentence(done, says):
    """A user's mistake: one sentence on standard error, exit code 2, no traceback."""
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_help_answers_within_a_second_without_loading_torch(fresh_cli):
    """In CPU seconds, the least of three: other processes share these cores, and can only add to it."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = fresh_cli("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0
        for verb in ("list", "new", "check", "prepare", "run", "suite", "board", "compare", "doctor"):
            assert verb in done.stdout
    assert min(took) < 1.0


def test_importing_the_package_loads_neither_torch_nor_pandas(tmp_path):
    import subprocess
    import sys

    code = "import unlearnbench, unlearnbench.__main__, sys; print(sorted({'torch', 'pandas', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"


def test_list_shows_methods_tasks_and_suites(cli):
    rows = {row["name"]: row for row in json.loads(cli("list", "methods", "--json").stdout)}
    assert rows["sfron"]["settings"]["steps"]["default"] == 50
    assert rows["sfron"]["needs"] == ["retain data"]
    assert rows["cheat-remap"]["role"] == "cheat"
    tasks = {row["name"]: row for row in json.loads(cli("list", "tasks", "--json").stdout)}
    assert tasks["digits-ddpm"]["tier"] == "embedded"
    assert "quick" in cli("list", "suites").stdout
    assert "sfron" in cli("list", "methods").stdout


def test_list_shows_what_is_wrong_with_a_broken_plugin(cli, tmp_path):
    (tmp_path / "bad.py").write_text("raise RuntimeError('on import')")
    one_sentence(cli("list", "methods", "--plugin", "bad.py"), "The plugin file bad.py cannot be loaded: RuntimeError")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "digits-ddpm", "sfrom"), "did you mean sfron"),
        (("run", "digit-ddpm", "sfron"), "did you mean digits-ddpm"),
        (("list", "method"), "did you mean methods?"),
        (("run", "digits-ddpm", "sfron", "--seeds", "a"), "'a' is no list of seeds"),
        (("run", "digits-ddpm", "sfron", "--seeds", "1,1"), "give different whole numbers"),
        (("run", "digits-ddpm", "sfron", "--set", "steps"), "write --set key=value"),
        (("run", "digits-ddpm", "sfron", "--set", "step=5"), "did you mean steps"),
        (
            ("run", "digits-ddpm", "sfron", "--set", "steps=many"),
            "The setting 'steps' of the method 'sfron' cannot be 'many'",
        ),
        (("run", "digits-ddpm", "sfron", "--set", "lr=NaN"), "The setting 'lr' of the method 'sfron' cannot be nan"),
        (("run", "digits-ddpm", "sfron", "--set", "steps=-5"), "'steps' cannot be -5"),
        (("run", "[/x]", "sfron"), "There is no task named '[/x]'"),
        (("run", "digits-ddpm", "sfron", "--set", "forget_class=12"), "'forget_class' of the task"),
        (
            ("run", "digits-ddpm", "sfron", "--set", "forget_class=7"),
            "unlearnbench prepare digits-ddpm --set forget_class=7",
        ),
        (("run", "digits-ddpm", "sfrom"), "One in a file of your own is found with --plugin FILE."),
        (("verify", "."), "name a record's file"),
        (("run", "digits-ddpm", "sfron", "--device", "tpu"), "choose auto, cpu or cuda"),
        (("suite", "quik"), "did you mean quick?"),
        (("board", "--results", "nowhere"), "There is no results folder nowhere"),
        (("board", "--no-committed", "--results", "."), "There is no record to build a board from"),
        (("prepare", "digits"), "There is no task named 'digits'"),
    ],
)
def test_a_users_mistake_is_one_sentence(cli, tmp_path, arguments, says):
    cache = tmp_path / "cache"
    one_sentence(cli(*arguments, env={"XDG_CACHE_HOME": str(cache)}), says)


@pytest.mark.parametrize(
    ("arguments", "says", "help_of"),
    [
        (("run", "digits-ddpm", "sfron", "--sed", "0"), "--sed", "unlearnbench run"),
        (("run", "digits-ddpm"), "'method'", "unlearnbench run"),
        (("run", "digits-ddpm", "sfron", "--workers", "many"), "--workers", "unlearnbench run"),
        (("run", "digits-ddpm", "sfron", "digits-dit"), "digits-dit", "unlearnbench run"),
        (("rnu",), "'rnu'", "unlearnbench"),
    ],
)
def test_words_that_fit_no_command_are_named_with_where_the_right_ones_are_listed(cli, arguments, says, help_of):
    done = cli(*arguments)
    one_sentence(done, says)
    assert done.stderr.strip().endswith(f"See `{help_of} --help`.")


def test_no_word_at_all_shows_the_help(cli):
    done = cli()
    assert done.returncode == 2
    assert "Usage: unlearnbench" in done.stdout
    assert done.stderr.strip() == ""


def test_the_version_is_the_packages(cli):
    assert cli("--version").stdout == f"unlearnbench {unlearnbench.__version__}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [("[[runs", "is not a TOML file"), ("description = 'x'", "at 'runs'"), ("x = 1", "at '")],
)
def test_a_broken_suite_file_is_one_sentence(cli, tmp_path, text, says):
    (tmp_path / "mine.toml").write_text(text)
    one_sentence(cli("suite", "mine.toml"), says)


def test_board_prints_the_ranking_and_reports_what_it_could_not_read(cli, tmp_path):
    for record in (*anchors(), *(make_record("sfron", seed, between(0.9)) for seed in range(3))):
        write_record(tmp_path / "results", record)
    done = cli("board", "--no-committed")
    assert done.returncode == 0, done.stderr
    assert "sfron" in done.stdout
    assert "The board is at site/index.html" in done.stdout
    (tmp_path / "results" / "broken.json").write_text("{")
    done = cli("board", "--no-committed")
    assert done.returncode == 1
    assert "results/broken.json is not whole JSON" in done.stderr
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_site_that_cannot_be_written_is_one_sentence(cli, tmp_path):
    for record in anchors():
        write_record(tmp_path / "results", record)
    (tmp_path / "site").write_text("in the way")
    one_sentence(cli("board", "--no-committed"), "could not be written")


def test_doctor_says_what_this_machine_can_run(cli):
    done = cli("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["task digits-ddpm"] == {"ok": True, "what": "task digits-ddpm", "detail": "ready to run"}
    assert findings["import timm"]["ok"]
    assert findings["import cleanfid.fid"]["ok"]
    assert "GPU" in cli("doctor").stdout


@pytest.mark.slow
def test_run_prints_metrics_and_a_plugin_that_raises_is_a_record_and_exit_code_one(cli, tmp_path):
    done = cli("run", "toy", "toy-good", "--plugin", TOY, "--seeds", "0,1")
    assert done.returncode == 0, done.stderr
    assert "forget accuracy" in done.stdout
    assert "Settings (the method's own): " in done.stdout
    assert "done toy toy-good seed 1" in done.stderr
    assert ", 2 of 2" in done.stderr
    assert "1 is retraining's" not in done.stdout, "there is nothing to score it by"
    assert len(list((tmp_path / "results").rglob("*.json"))) == 2
    done = cli("run", "toy", "toy-raises", "--plugin", TOY)
    assert done.returncode == 1
    assert "failed toy toy-raises seed 0: ValueError: no luck at all" in done.stderr
    done = cli("run", "toy", "toy-marks", "--plugin", TOY)
    assert done.returncode == 1
    assert "ValueError: no such file [/tmp/x] in list[int]" in done.stderr


@pytest.mark.slow
def test_the_readmes_method_works_as_it_stands(cli, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    (source,) = [block for block in blocks if "class Mine" in block]
    assert len(source.splitlines()) <= 30
    (tmp_path / "mine.py").write_text(source)
    done = cli("run", "toy", "mine", "--plugin", "mine.py", "--plugin", TOY, "--set", "lr=3e-5")
    assert done.returncode == 0, done.stderr


def test_the_committed_records_make_a_board_anywhere(cli, tmp_path):
    done = cli("board")
    assert done.returncode == 0, done.stderr
    assert "digits-ddpm · forgetting" in done.stdout
    assert (tmp_path / "site" / "index.html").stat().st_size < 500_000


def test_prepare_says_where_things_are(cli):
    done = cli("prepare", "toy", env={})
    one_sentence(done, "There is no task named 'toy'")
    done = cli("prepare", "digits-ddpm")
    assert done.returncode == 0
    assert "'digits-ddpm' lacks nothing; to make it again" in done.stdout
