"""What a terminal of 80 columns shows, what a program reads, and what a shell completes."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import unlearnbench as ub
from helpers import TASK, TOY, anchors, asked_for, between, make_record
from unlearnbench.benchmark.commands import completion
from unlearnbench.benchmark.commands.consoles import print_pairs, say
from unlearnbench.benchmark.records.record import Status
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.leaderboard.columns import rank_text
from unlearnbench.leaderboard.digest import MOST_LINES, digest_data, print_digest, standings
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.site.build import Site
from unlearnbench.leaderboard.submission.terminal import verification_data
from unlearnbench.leaderboard.submission.verify import Agreement, Verification

LONG = "One, two and a great many more words that no line of eighty characters holds, however it is set, and no word breaks."


def runs(method, share, seeds=(0, 1, 2), **changes):
    return [make_record(method, seed, between(share - 0.01 * seed), **changes) for seed in seeds]


def site(records, own=()):
    return Site(Path("site/index.html"), rank_all([*records, *own]), [], [], frozenset(record.run_id for record in own))


def printed(shown, width=80, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    print_digest(console, shown)
    return console.file.getvalue().splitlines()


def board_of(number, records):
    task = TASK.model_copy(
        update={"name": f"task-{number:02}", "sha256": f"{number:064x}", "config_passed": {}, "version": 1}
    )
    return [record.model_copy(update={"task": task, "run_id": f"{number:02}{record.run_id[2:]}"}) for record in records]


def test_the_digest_shows_own_rows_their_place_and_the_best_beside_them():
    mine = runs("mine", 0.5, passed={"lr": 0.1})
    shown = site([*anchors(), *runs("other", 0.9), *runs("worse", 0.2)], mine)
    lines = printed(shown)
    assert lines[0].split() == ["Your", "rows", "score", "95", "%", "rank"]
    assert lines[1].startswith("digits-ddpm · forgetting")
    (row,) = [row for row in shown.rankings[0].rows if row.method == "mine"]
    best = next(row for row in shown.rankings[0].rows if row.method == "other")
    assert lines[1].endswith(f"best: other {best.score:.3f}")
    assert lines[2].startswith("  mine (lr=0.1)")
    assert f"{row.score:.3f}" in lines[2]
    assert lines[2].endswith(f"{rank_text(row)} of 3")
    assert lines[-1] == "The board is at site/index.html"


def test_reference_rows_of_the_readers_are_shown_where_there_is_nothing_else():
    others = [*anchors(), *runs("other", 0.9)]
    references = [record for record in others if record.method.role == "reference"]
    shown = Site(Path("p"), rank_all(others), [], [], frozenset(record.run_id for record in references))
    assert any(line.endswith("reference") for line in printed(shown))
    mine = board_of(7, [*anchors(), *runs("mine", 0.4)])
    both = Site(
        Path("p"), rank_all([*others, *mine]), [], [], frozenset(record.run_id for record in [*references, *mine])
    )
    assert {board.title for board in standings(both)} == {"task-07 · forgetting"}


@pytest.mark.parametrize("boards", [1, 3, 30])
def test_who_has_no_score_learns_why_and_what_to_run(boards):
    mine = [record for number in range(boards) for record in board_of(number, runs("mine", 0.5, (0,)))]
    shown = site([], mine)
    lines = printed(shown)
    assert len(lines) <= MOST_LINES
    told = " ".join(lines)
    assert told.count("No scores: the reference rows are missing; run `unlearnbench run task-") == min(boards, 2)
    data = digest_data(shown)
    assert all(len(board["notes"]) == 1 for board in data["boards"])


def test_failed_runs_are_told_of():
    mine = [*runs("mine", 0.5, (0, 1)), make_record("mine", 2, status=Status.FAILED, reason="no luck")]
    (line,) = [line for line in printed(site(anchors(), mine)) if "mine" in line and "best" not in line]
    assert line.endswith("1 of 3 runs failed")
    data = digest_data(site(anchors(), mine))
    assert data["boards"][0]["own"][0]["failed_runs"] == 1


def test_a_row_of_some_requests_says_so_and_is_not_the_best_beside_rows_of_all():
    tasks = [asked_for(digit) for digit in (0, 3, 8)]
    whole = [
        record for task in tasks for record in [*anchors((0, 1), task=task), *runs("whole", 0.5, (0, 1), task=task)]
    ]
    mine = runs("mine", 0.9, (0, 1), task=tasks[0])
    shown = site(whole, mine)
    title, line = printed(shown)[1:3]
    assert "best: whole " in title
    assert line.startswith("  mine ")
    assert line.endswith("1 of 3 requests")
    (own,) = digest_data(shown)["boards"][0]["own"]
    assert own["requests"] == ["forget_class=0"]
    assert own["requests_lacking"] == ["forget_class=3", "forget_class=8"]
    alone = site([record for record in whole if record.method.role == "reference"], mine)
    assert "best: mine " in printed(alone)[1]


def test_a_committed_run_that_was_made_again_stands_in_the_readers_row_alone():
    committed, again = runs("one", 0.9), make_record("one", 0, between(0.6))
    assert again.run_id == committed[0].run_id
    rankings = rank_all([*anchors(), *committed, again], {again.run_id})
    shown = Site(Path("p"), rankings, [], [], frozenset({again.run_id}))
    rows = [row["row"] for board in digest_data(shown)["boards"] for row in board["own"]]
    assert rows == ["one (yours)"] * len(rankings)


@pytest.mark.parametrize("boards", [0, 1, 6, 30])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_digest_never_takes_more_than_its_lines_nor_its_width(boards, width):
    others = [record for number in range(30) for record in board_of(number, anchors((0,)))]
    names = ("a-method-whose-name-is-rather-long", "second", "third", "fourth", "fifth")
    mine = [
        record
        for number in range(boards)
        for name in names
        for record in board_of(number, runs(name, 0.5, (0,), passed={"learning_rate": 0.001, "steps": 12345}))
    ]
    lines = printed(site(others, mine), width)
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= width
    assert lines[-1] == "The board is at site/index.html"
    if boards == 0:
        assert lines[0] == "The best of each board; none has a row of yours"
    if boards == 1:
        assert sum("of 5" in line for line in lines) == 5
    if boards == 30 and width >= 80:
        assert any(" more: on the page, or with --full." in line for line in lines)


def test_methods_come_before_cheats_where_there_is_no_room_for_all():
    others, mine = [], []
    for number in range(10):
        others += board_of(number, anchors((0,)))
        mine += board_of(
            number, [*runs("cheat-x", 0.9, (0,), role="cheat"), *runs("first", 0.5, (0,)), *runs("next", 0.4, (0,))]
        )
    text = "\n".join(printed(site(others, mine)))
    assert text.count("  first") == 10
    assert "  cheat-x" not in text
    assert "rows of yours more" in text


def test_colours_are_left_out_where_nobody_wants_them():
    shown = site(anchors(), runs("mine", 0.9))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True)
    print_digest(console, shown)
    assert "\x1b[3" not in console.file.getvalue()


def test_a_sentence_breaks_between_words_on_a_terminal_and_not_at_all_elsewhere():
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True, soft_wrap=True)
    say(terminal, LONG)
    lines = terminal.file.getvalue().splitlines()
    assert len(lines) == 2
    assert " ".join(line.strip() for line in lines) == LONG
    piped = Console(file=io.StringIO(), width=80, soft_wrap=True)
    say(piped, LONG)
    assert piped.file.getvalue() == f"{LONG}\n"


def test_a_list_hangs_behind_its_names_on_a_terminal():
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True, soft_wrap=True)
    print_pairs(terminal, [("name", LONG), ("other", "Short.")])
    first, second, third = (line.rstrip() for line in terminal.file.getvalue().splitlines())
    assert first.startswith("name   One, two")
    assert second.startswith("       ")
    assert third == "other  Short."
    piped = Console(file=io.StringIO(), width=80, soft_wrap=True)
    print_pairs(piped, [("name", LONG)])
    assert piped.file.getvalue() == f"name  {LONG}\n"


@pytest.fixture
def three(tmp_path):
    for record in [*anchors(), *runs("a-long-name", 0.9), *runs("another-name", 0.5), *runs("third", 0.48)]:
        write_record(tmp_path / "results", record)


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "a-long-name", "another-name", "third", "--no-committed"),
        ("regress", "--baseline", "results", "--current", "results"),
        ("board", "--no-committed"),
        ("board", "--no-committed", "--full"),
    ],
)
def test_tables_fit_80_columns_with_their_words_whole(cli, three, arguments):
    done = cli(*arguments, env={"COLUMNS": "80", "NO_COLOR": "1"})
    wide = cli(*arguments, env={"COLUMNS": "300", "NO_COLOR": "1"})
    assert done.stderr == wide.stderr
    tables = [line for line in done.stdout.splitlines() if "  " in line.strip()]
    assert tables
    assert max(map(len, tables)) <= 80
    known = set(wide.stdout.replace(";", "; ").split())
    words = {word for line in tables for word in line.split() if word.isalpha()}
    assert words - known <= {"pair,", "and", "verdict", "p"}


def test_board_ends_in_the_readers_rows_and_full_prints_the_tables(cli, three):
    short, full = cli("board"), cli("board", "--full")
    assert len(short.stdout.splitlines()) <= MOST_LINES
    assert "a-long-name" in short.stdout
    assert "salun" not in short.stdout.replace("best: salun", "")
    assert "Rank" in full.stdout
    assert full.stdout.endswith("The board is at site/index.html\n")
    found = json.loads(cli("board", "--json", "--no-committed").stdout)
    assert found["page"] == "site/index.html"
    own = found["boards"][0]["own"]
    assert own[0]["row"] == "a-long-name"
    assert own[0]["ci_low"] <= own[0]["score"] <= own[0]["ci_high"]


def test_every_verb_that_has_a_result_has_json(cli):
    runs_made, read = ("prepare", "run", "evaluate", "suite", "check", "new"), ("board", "compare", "regress", "list")
    for verb in (*runs_made, *read, "submit", "validate", "verify", "doctor"):
        assert "--json" in cli(verb, "--help").stdout, verb


def test_no_word_of_the_help_is_taken_for_a_mark(cli):
    text = " ".join(cli("run", "--help").stdout.split())
    assert "one a core" in text
    assert "1800" in text


def test_the_json_of_runs_stands_alone_on_standard_output(cli, tmp_path):
    done = cli("run", "toy", "toy-good", "--plugin", TOY, "--seeds", "0,1", "--json")
    found = json.loads(done.stdout)
    assert [record["seed"] for record in found["records"]] == [0, 1]
    (first, _) = found["records"]
    assert (first["task"], first["status"], first["settings"]) == ("toy", "ok", {})
    assert (tmp_path / first["file"]).is_file()
    assert {"name", "judge", "label", "value", "ci_low", "ci_high"} == set(first["metrics"][0])
    assert "done toy toy-good seed 0" in done.stderr
    (tmp_path / "two.toml").write_text(
        'description = "x"\n[[runs]]\ntasks = ["toy"]\nmethods = ["toy-good", "li2024"]\nseeds = [0]\n'
    )
    done = cli("suite", "two.toml", "--plugin", TOY, "--json")
    found = json.loads(done.stdout)
    assert [record["run_id"] for record in found["records"]] == [first["run_id"]]
    assert [refused["method"] for refused in found["not_applicable"]] == ["li2024"]


def test_the_json_of_what_packs_validates_writes_and_prepares(cli, three, tmp_path):
    found = json.loads(cli("validate", "results", "--json").stdout)
    assert found["problems"]
    assert {"new_records", "files", "problems"} == set(found)
    written = json.loads(cli("new", "method", "my-idea", "--json").stdout)
    assert written == {"file": "my_idea.py", "test": "test_my_idea.py", "next": ["unlearnbench check my_idea.py"]}
    ready = json.loads(cli("prepare", "digits-ddpm", "--json").stdout)
    assert (ready["task"], ready["made"]) == ("digits-ddpm", [])
    write_record(tmp_path / "packed", make_record("salun", 0, between(0.5)))
    packed = json.loads(cli("submit", "salun", "--results", "packed", "--json").stdout)
    assert packed["problems"]
    assert packed["files"] == []


def test_the_json_of_a_verification_has_every_number():
    record = make_record("a")
    numbers = [Agreement("coverage", 0.5, 0.6, "differs")]
    data = verification_data(Verification(record, record, numbers, Path("verifications/x.json")))
    assert (data["agrees"], data["attestation"]) == (False, "verifications/x.json")
    assert data["numbers"] == [{"name": "coverage", "stored": 0.5, "again": 0.6, "verdict": "differs"}]
    json.dumps(data, allow_nan=False)


def completed(words, number):
    code = (
        "import sys\nfrom unlearnbench.__main__ import main\nsys.argv = ['unlearnbench']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nsys.stderr.write(str('torch' in sys.modules))"
    )
    import os

    env = {
        **os.environ,
        "_UNLEARNBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(number),
    }
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)


def test_who_interrupts_the_program_while_it_is_imported_sees_no_traceback():
    code = (
        "import os, signal, sys\n"
        # A shell's background job ignores the signal, and passes that on.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from unlearnbench.start import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_shell_completes_names_without_loading_torch():
    done = completed("unlearnbench run digits-d", 2)
    assert done.stdout.split() == ["digits-ddpm", "digits-dit"]
    assert done.stderr == "False"
    assert completed("unlearnbench run digits-ddpm sfr", 3).stdout.split() == ["sfron", "sfron-dualoptim"]


def test_what_is_completed(tmp_path, monkeypatch):
    assert completion.tasks("digits-m") == ["digits-mae"]
    assert {"salun", "salun-dualoptim"} <= set(completion.methods("sal"))
    assert completion.kinds("m") == ["methods"]
    assert completion.written("") == ["method", "task"]
    assert completion.devices("c") == ["cpu", "cuda"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sal.py").touch()
    (tmp_path / "sal.txt").touch()
    (tmp_path / "salad").mkdir()
    assert completion.to_check("sal") == [*completion.methods("sal"), "salad/", "sal.py"]
    assert completion.suites("qu") == ["quick"]


def test_the_digest_takes_what_the_python_verb_returns(three, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = ub.board(committed=False, out="site")
    assert any("a-long-name" in line for line in printed(built))
