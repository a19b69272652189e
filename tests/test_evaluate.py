"""Weights that were made elsewhere: judged by one command, and on the board with a cost that nobody knows."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import unlearnbench
from helpers import GOOD, TOY, UNTOUCHED, anchors, between, make_cost, make_record
from unlearnbench.benchmark.records.record import NAME_PATTERN, MethodInfo, Weights
from unlearnbench.benchmark.records.store import record_bytes, write_record
from unlearnbench.benchmark.running.identity import make_task, weights_name
from unlearnbench.benchmark.running.limits import Limits
from unlearnbench.benchmark.running.plan import Placement, plan
from unlearnbench.benchmark.running.requests import Request
from unlearnbench.benchmark.running.slurm import job_name, run_command
from unlearnbench.docs.make.results import results_text
from unlearnbench.leaderboard.frames import long_frame, scored_frame
from unlearnbench.leaderboard.regression.regress import compare as regress
from unlearnbench.leaderboard.rows import latest
from unlearnbench.leaderboard.submission.plausible import implausible
from unlearnbench.leaderboard.submission.requirements import incomplete
from unlearnbench.leaderboard.submission.sources import Sources
from unlearnbench.leaderboard.submission.verify import check_same_sources

ON_TOY = ("--plugin", TOY, "--device", "cpu")


@pytest.fixture(scope="module")
def state(toy):
    return toy.trained([1, 2]).state_dict()


def one_sentence(done, says):
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert done.stderr.count("error: ") == 1


def test_an_edited_model_from_elsewhere_is_on_the_board_in_one_command(cli, state, tmp_path):
    save_file(state, tmp_path / "My edit (v2).safetensors")
    done = cli("evaluate", "toy", "My edit (v2).safetensors", "--seed", "1", *ON_TOY)
    assert done.returncode == 0, done.stderr
    assert "done toy my-edit-v2 seed 1 (cost unknown)" in done.stderr
    (record,) = (tmp_path / "results" / "toy" / "my-edit-v2").iterdir()
    assert str(record.relative_to(tmp_path)) in done.stdout
    again = cli("evaluate", "toy", "My edit (v2).safetensors", "--seed", "1", *ON_TOY)
    assert "kept toy my-edit-v2 seed 1" in again.stderr
    board = cli("board", "--no-committed", "--plugin", TOY, "--full")
    assert board.returncode == 0, board.stderr
    assert "my-edit-v2" in board.stdout
    assert "cost unknown" in board.stdout


def of_another_network(state):
    return {"w": state["weight"], "bias": state["bias"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            of_another_network,
            "edit.safetensors lack weight, which the task's network has; give the state of the task's",
        ),
        (None, "edit.safetensors cannot be read as a safetensors file ("),
    ],
)
def test_a_file_that_does_not_fit_or_ends_early_is_one_sentence_and_no_record(cli, state, tmp_path, change, says):
    """All that can be wrong with one is in ``test_weights.py``."""
    file = tmp_path / "edit.safetensors"
    save_file(change(state) if change else state, file)
    if change is None:
        file.write_bytes(file.read_bytes()[:-4])
    one_sentence(cli("evaluate", "toy", "edit.safetensors", *ON_TOY), says)
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"file": "gone.safetensors"}, "gone.safetensors of weights; name one that safetensors wrote."),
        ({"file": "."}, "of weights; name one that safetensors wrote."),
        ({"task": "toys"}, "There is no task named 'toys'; did you mean toy"),
        ({"name": "toy-good"}, "'toy-good' is a registered method; give the weights another name with --name."),
        ({"name": "sfron"}, "'sfron' is a registered method; give the weights another name with --name."),
        ({"name": "My/Edit"}, "'My/Edit' cannot name weights; give them with --name one of lower-case letters"),
        ({"file": "_.safetensors"}, "'' cannot name weights"),
        ({"seed": -1}, "-1 is no seed; give whole numbers from 0."),
        ({"settings": {"lr": 1}}, "There is no setting of the task 'toy' named 'lr'; known: forget_class, lacking."),
        ({"settings": {"lacking": True}}, "run `unlearnbench prepare toy --set lacking=true"),
    ],
)
def test_a_users_mistake_is_one_sentence(warm, state, tmp_path, given, says):
    for name in ("edit", "_"):
        save_file(state, tmp_path / f"{name}.safetensors")
    asked = {"task": "toy", "file": "edit.safetensors", "results": tmp_path / "results", "plugins": [TOY]} | given
    asked["file"] = tmp_path / asked["file"]
    with pytest.raises(unlearnbench.BenchmarkError) as caught:
        unlearnbench.evaluate(device="cpu", **asked)
    assert says in str(caught.value)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_builtin_tasks_name_is_known_before_anything_is_loaded(cli):
    one_sentence(
        cli("evaluate", "digits-va", "x.safetensors"), "There is no task named 'digits-va'; did you mean digits-vae"
    )


def test_weights_that_are_not_finite_are_a_diverged_record(cli, state, tmp_path):
    broken = state["weight"].clone()
    broken[0, 0] = float("nan")
    save_file(state | {"weight": broken}, tmp_path / "edit.safetensors")
    done = cli("evaluate", "toy", "edit.safetensors", *ON_TOY)
    assert done.returncode == 1
    assert "diverged toy edit seed 0: the weight 'weight' is not finite" in done.stderr


def test_evaluation_that_takes_too_long_is_a_timeout(cli, state, tmp_path):
    """Limits, claims and logs are the runner's own."""
    save_file(state, tmp_path / "edit.safetensors")
    (tmp_path / "slow.py").write_text(
        f"{TOY.read_text()}\nclass Slow(ToyTask):\n    '''Slow.'''\n    name = 'slow'\n"
        "    def evaluate(self, model, seed, device):\n        time.sleep(60)\n"
    )
    done = cli("evaluate", "slow", "edit.safetensors", "--plugin", "slow.py", "--device", "cpu", "--time-limit", "8")
    assert done.returncode == 1
    assert "timeout slow edit seed 0: took longer than 8 s" in done.stderr


KEPT = "seed3-0123456789ab.model.safetensors"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"results/toy/toy-good/{KEPT}", "toy-good-kept"),
        ("edit.safetensors", "edit"),
        ("SalUn v2, final!.safetensors", "salun-v2-final"),
        ("a" * 80 + ".safetensors", "a" * 64),
        ("Überarbeitet.safetensors", "berarbeitet"),
        ("no-suffix", "no-suffix"),
    ],
)
def test_weights_are_called_by_their_file(path, name):
    assert weights_name(Path(path)) == name


@given(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=90))
def test_what_a_file_is_called_makes_a_valid_name_or_none(stem):
    import re

    name = weights_name(Path(f"x{stem}.safetensors"))
    assert re.fullmatch(NAME_PATTERN, name)


def test_a_job_is_told_of_weights_and_of_models_to_keep(toy, tmp_path, state):
    save_file(state, tmp_path / "edit.safetensors")
    where = Placement(tmp_path, "cpu", 1, (TOY,), any_device=True)
    given = [
        Request("toy", "edit", [2], {}, weights=tmp_path / "edit.safetensors"),
        Request("toy", "toy-good", [0], {}),
    ]
    (evaluation, run), _ = plan(given, where)
    (_, kept), _ = plan(given, where._replace(keep_model=True))
    words = run_command(evaluation, tmp_path, Limits(60), retry_failed=True)
    begun = words.index("evaluate")
    assert words[begun : begun + 7] == [
        "evaluate",
        "toy",
        str(tmp_path / "edit.safetensors"),
        "--seed",
        "2",
        "--name",
        "edit",
    ]
    assert "--workers" not in words
    assert "--retry-failed" in words
    assert "--keep-model" not in run_command(run, tmp_path, Limits(60), retry_failed=False)
    assert "--keep-model" in run_command(kept, tmp_path, Limits(60), retry_failed=False)
    # A job that keeps no weights is not taken over by a command that waits for them.
    assert job_name(run, tmp_path) != job_name(kept, tmp_path)


def weights_record(seed, values):
    """A record of weights that were made elsewhere, each seed's file another."""
    digest = f"{seed + 7:064x}"
    method = MethodInfo(
        name="mine", role="method", source_sha256=digest, distribution="weights", config={}, config_passed={}
    )
    changes = {"method": method, "cost": None, "weights": Weights(sha256=digest)}
    return make_record("mine", seed, values).model_copy(update=changes)


@pytest.fixture
def rows():
    return [weights_record(seed, between(0.5)) for seed in range(3)]


def test_seeds_are_one_row_though_each_has_a_file_of_its_own(rows):
    older = [
        row.model_copy(update={"created": "2025-06-01T00:00:00Z", "run_id": f"{n:064x}"}) for n, row in enumerate(rows)
    ]
    assert latest([*older, *rows]) == rows


def test_it_stands_on_the_board_with_a_cost_that_nobody_knows(rows, tmp_path):
    for record in (*anchors(), *rows, *(make_record("sfron", seed, between(0.6)) for seed in range(3))):
        write_record(tmp_path / "results", record)
    built = unlearnbench.board([tmp_path / "results"], out=tmp_path / "site", committed=False)
    assert built.problems == []
    (row,) = [row for row in built.rankings[0].rows if row.method == "mine"]
    assert len(row.runs) == 3
    assert row.unlearn_seconds is None
    assert "cost unknown" in (built.page.parent / "tasks" / "digits-ddpm.html").read_text()
    (page,) = (tmp_path / "site" / "rows").glob("*-mine.html")
    assert "Cost unknown: the weights were made elsewhere." in page.read_text()
    assert "unlearnbench evaluate digits-ddpm WEIGHTS_FILE --seed 0 --name mine" in page.read_text()
    (other,) = (tmp_path / "site" / "rows").glob("*-sfron.html")
    assert "ost unknown" not in other.read_text()
    (line,) = [line for line in results_text(tmp_path / "results").splitlines() if "`mine`" in line]
    assert "cost unknown" in line
    compared = unlearnbench.compare(["mine", "sfron"], folders=[tmp_path / "results"], committed=False)
    assert "cost unknown" in compared.markdown()
    assert compared.problems == []


def test_frames_hold_no_cost_of_it(rows):
    frame = scored_frame([*anchors(), *rows]).set_index("method")
    assert frame.loc["mine", "unlearn_seconds"].isna().all()
    assert frame.loc["oracle", "unlearn_seconds"].notna().all()
    assert len(long_frame(rows)) == 3 * len(GOOD)
    assert isinstance(scored_frame(rows), pd.DataFrame)


def test_the_guard_judges_its_quality_and_no_cost(rows):
    found = {finding.what: finding for finding in regress(rows, rows, references=anchors()).findings}
    assert found["counts"].verdict == found["step_time"].verdict == "not judged"
    assert found["counts"].sentence == found["step_time"].sentence == "cost unknown."
    worse = [weights_record(seed, UNTOUCHED) for seed in range(3)]
    found = {finding.what: finding for finding in regress(rows, worse, references=anchors()).findings}
    assert found["forget_accuracy"].verdict == "regression"


def refusals(record):
    return implausible(record, record_bytes(record))


def test_what_such_a_record_may_say(rows):
    record = rows[0]
    dated = record.model_copy(update={"created": "2026-01-01T00:00:00Z"})
    assert refusals(dated) == []
    assert refusals(dated.model_copy(update={"cost": make_cost(1.0)})) == [
        "holds a cost, though its weights were made elsewhere."
    ]
    for weights in (None, Weights(sha256="0" * 64)):
        assert refusals(dated.model_copy(update={"weights": weights})) == [
            "does not hold the hash of the weights that it says were judged."
        ]
    run = make_record("mine", 0).model_copy(update={"cost": None})
    assert refusals(run) == ["ended as ok without its cost or its metrics."]


def test_it_needs_no_file_of_a_method(rows):
    assert list(Sources({})._method(rows[0].method)) == []
    settings = rows[0].method.model_copy(update={"config": {"lr": 1}})
    assert list(Sources({})._method(settings)) == [
        "is of weights that were made elsewhere, and has settings of a method."
    ]
    run = rows[0].method.model_copy(update={"distribution": "file"})
    assert list(Sources({})._method(run)) == ["comes without the method's file, methods/mine.py."]
    assert incomplete(rows, anchors()) == []
    mixed = [
        record.model_copy(update={"method": run.model_copy(update={"source_sha256": f"{number:064x}"})})
        for number, record in enumerate(rows)
    ]
    assert any("mixes 3 versions of the method's file" in sentence for sentence in incomplete(mixed, anchors()))


def test_verify_asks_for_the_file(rows, tmp_path):
    with pytest.raises(unlearnbench.BenchmarkError, match="give their file with --weights FILE"):
        check_same_sources(rows[0])
    with pytest.raises(unlearnbench.BenchmarkError, match="leave --weights out"):
        check_same_sources(make_record("sfron"), tmp_path / "x.safetensors")
    with pytest.raises(unlearnbench.BenchmarkError, match=r"There is no file .*x\.safetensors of weights"):
        check_same_sources(rows[0], tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"other")
    with pytest.raises(
        unlearnbench.BenchmarkError, match=f"give the file with the SHA-256 {rows[0].method.source_sha256}"
    ):
        check_same_sources(rows[0], tmp_path / "x.safetensors")


@pytest.mark.slow
def test_it_is_packed_validated_and_verified_from_its_file(cli, tmp_path):
    task = make_task("digits-vae", {})
    weights = task.load_model(task.base_file).state_dict()
    for name in ("original", "oracle"):
        assert cli("run", "digits-vae", name, "--seeds", "0,1,2", "--device", "cpu").returncode == 0
    for seed in range(3):
        save_file({key: value * (1 + 0.01 * seed) for key, value in weights.items()}, tmp_path / f"{seed}.safetensors")
        done = cli("evaluate", "digits-vae", f"{seed}.safetensors", "--seed", seed, "--name", "mine", "--device", "cpu")
        assert done.returncode == 0, done.stderr
    packed = cli("submit", "mine")
    assert packed.returncode == 0, packed.stderr
    assert "publish the files" in packed.stdout
    assert not (tmp_path / "submission" / "methods").exists()
    done = cli("validate", "submission")
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "results" / "digits-vae" / "mine").glob("seed1-*.json")
    one_sentence(cli("verify", record), "give their file with --weights FILE")
    done = cli("verify", record, "--weights", "1.safetensors")
    assert done.returncode == 0, done.stderr
    assert "The record agrees." in done.stdout
