"""The sentences of docs/findings.md, over the committed records."""

import numpy as np
import pytest

from findings import AS_RETRAINED, GENTLE, IN_PAINTING, ON_PHOTOGRAPHS, ON_PLACES, STRONG, rounded, row
from helpers import BUILT_IN
from unlearnbench.leaderboard.ranks import told_apart, verdicts

REPLICATED = (
    "ascent (lr=0.001 steps=40)",
    "gradient-surgery (lr=0.001 optimizer=adam steps=80)",
    "retain-surgery (lr=0.001 steps=200)",
    "uno (lr=0.001 steps=50)",
)
"""Of the replication on MNIST, that forgets the 1."""
FORGETTING = "digits-ddpm · forgetting"
TRANSFORMER = "digits-dit · forgetting"
MNIST = "mnist-vae · forgetting"


def test_boards_have_the_runs_that_the_page_says_and_those_of_digits_every_method_that_applies(boards):
    from unlearnbench.benchmark import registry
    from unlearnbench.benchmark.running.identity import make_task

    for title, board in boards.items():
        assert not any(row.failures for row in board.rows), title
        if title.startswith(("digits-dit", "digits-vae", "mnist-vae")) or title in (IN_PAINTING, AS_RETRAINED):
            for row in board.rows:
                shape = (3, 1) if row.name in (GENTLE, STRONG, *REPLICATED) else (6, 3)
                assert (len(row.runs), len(row.requests)) >= shape, row.name
        elif title.startswith("digits-ddpm"):
            assert all((len(row.runs), len(row.requests)) == (9, 3) for row in board.rows), title
        else:
            assert all(len(row.runs) == 3 for row in board.rows), title
    for title in (IN_PAINTING, FORGETTING, TRANSFORMER, ON_PHOTOGRAPHS, ON_PLACES):
        task = make_task(title.split(" ")[0], {})
        applicable = {method for method in BUILT_IN if not task.refusal(registry.methods.get(method))}
        assert {row.method for row in boards[title].rows} == applicable


def test_original_and_wrapper_score_next_to_nothing_and_an_oracle_all(boards):
    board = boards[FORGETTING]
    assert [round(row(board, name).score, 2) for name in ("original", "cheat-noise", "oracle")] == [0.01, 0.01, 0.97]


def test_more_than_half_of_the_pairs_of_methods_are_told_apart(boards):
    ranked = [found for found in boards[FORGETTING].rows if found.rank]
    methods = {found.name for found in ranked if found.role == "method"}
    apart = [pair for pair in told_apart(ranked) if pair <= methods]
    assert len(methods) * (len(methods) - 1) // 2 == 153
    assert len(apart) == 89


def test_an_edited_embedding_is_found_out(boards):
    for name in ("cheat-remap", "simulated-retrain"):
        for run in row(boards[FORGETTING], name).runs:
            assert run.components["asked"] > 0.8
            assert max(run.components[part] for part in ("unasked", "inverted", "relearned")) < 0.05
            assert round(run.score, 2) == 0.03


def test_eu_mu_and_relabelling_have_the_highest_scores(boards):
    ranked = [found for found in boards[FORGETTING].rows if found.rank]
    first = ["eupmu", "relabel", "salun", "salun-dualoptim", "sfron-dualoptim"]
    assert [found.name for found in ranked if found.rank == 1] == first
    assert [rounded(found) for found in ranked[:2]] == [(0.82, 0.77, 0.87), (0.79, 0.75, 0.83)]
    assert [round(found.score, 2) for found in ranked[2:5]] == [0.74, 0.7, 0.65]
    for found in ranked[:4]:
        assert len(found.runs) == 9
        assert min(run.score for run in found.runs) > 0.6
        assert min(("asked", "unasked", "inverted", "relearned"), key=found.component) == "relearned"
    assert [found.name for found in ranked[:4] if found.runs[0].record.cost.steps == 61] == first[:3]


def test_sfron_scores_less_than_both_and_scatters(boards):
    board = boards[FORGETTING]
    found, two = row(board, "sfron"), row(board, "sfron-dualoptim")
    ranked = [other for other in board.rows if other.rank]
    doubts = verdicts([other.scores for other in ranked], lambda index, case: ranked[index].error(case)).p_values
    for name in ("eupmu", "relabel"):
        better = row(board, name)
        assert sum(better.scores[case] > found.scores[case] for case in found.scores) == 8
        assert round(doubts[ranked.index(better), ranked.index(found)], 2) == 0.13
    assert rounded(found) == (0.47, 0.31, 0.63)
    scores = [run.score for run in found.runs]
    assert (round(max(scores), 2), found.runs[0].record.cost.steps) == (0.81, 61)
    assert min(scores) > 0.25
    asked = [run.components["asked"] for run in found.runs if run.case.request == "forget_class=0"]
    assert sum(share < 0.05 for share in asked) == 2
    assert found.component("relearned") < 0.5
    assert two.score > found.score
    assert np.std([run.score for run in two.runs]) > np.std(scores)


def test_some_forget_most_thoroughly_and_pay_with_the_rest(boards):
    runs = {name: row(boards[FORGETTING], name).runs for name in ("pcgrad", "rgd")}
    for run in (run for found in runs.values() for run in found):
        assert min(run.components[part] for part in ("unasked", "inverted")) > 0.99
        assert run.utility < 0.655
    assert sum(run.utility < 0.005 for run in runs["rgd"]) == 2


def test_some_hide_the_class_from_its_label_and_little_more(boards):
    board = boards[FORGETTING]
    assert [rounded(row(board, name)) for name in ("ebu", "erasediff")] == [(0.33, 0.31, 0.35), (0.29, 0.23, 0.35)]
    for name in ("ebu", "erasediff"):
        for run in row(board, name).runs:
            assert run.components["asked"] > 0.5
            assert max(run.components[part] for part in ("inverted", "relearned")) < 0.53
            assert run.components["unasked"] < 0.3
    assert min(run.utility for run in row(board, "ebu").runs) > 0.98


def test_tuning_does_not_help_what_has_no_grip(boards):
    board = boards[FORGETTING]
    for name in ("ascent", "uno", "gradient-surgery"):
        assert max(run.score for run in row(board, name).runs) < 0.025
    assert max(row(board, name).score for name in ("neggrad-plus", "selective-amnesia")) < 0.1
    assert round(row(board, "esd").score, 2) == 0.13


def test_tuning_decides_on_the_ddpm():
    from unlearnbench.benchmark.running.tuned import found_settings

    found = found_settings("digits-ddpm")
    assert len(found) == 18
    assert sum(each.paper_score == 0 for each in found.values()) == 10
    assert min(found[name].score - found[name].paper_score for name in ("salun", "relabel")) > 0.7


def test_none_is_hard_to_tell_from_a_retrained_model_by_more_than_half(boards):
    board = boards["digits-ddpm · indistinguishability"]
    ranked = [(found.name, round(found.score, 2)) for found in board.rows if found.rank]
    assert ranked[:3] == [("relabel", 0.48), ("eupmu", 0.47), ("sfron-dualoptim", 0.43)]
    assert round(row(board, "oracle").score, 2) == 0.94


def test_the_transformer_is_harder_to_make_forget(boards):
    board = boards[TRANSFORMER]
    methods = [found for found in board.rows if found.role == "method"]
    assert max(found.score for found in methods) < 0.5
    assert [(found.name, *rounded(found)) for found in methods[:4]] == [
        ("eupmu", 0.49, 0.33, 0.64),
        ("salun-dualoptim", 0.45, 0.31, 0.59),
        ("relabel", 0.43, 0.27, 0.59),
        ("salun", 0.38, 0.23, 0.53),
    ]
    assert min(run.components["asked"] for found in methods[:4] for run in found.runs) > 0.99
    ranked = [found for found in board.rows if found.rank and found.role == "method" and found.score > 0.1]
    assert len([found for found in ranked if found.rank == 1]) > len(ranked) / 2


def test_on_the_transformer_no_method_holds_against_relearning(boards):
    methods = [found for found in boards[TRANSFORMER].rows if found.role == "method"]
    assert max(run.components["relearned"] for found in methods for run in found.runs) < 0.5
    assert max(found.component("relearned") for found in methods) < 0.25


def test_on_the_transformer_sfron_scores_less_than_with_dualoptim(boards):
    found, two = (row(boards[TRANSFORMER], name) for name in ("sfron", "sfron-dualoptim"))
    assert [rounded(one) for one in (found, two)] == [(0.2, 0.13, 0.26), (0.33, 0.27, 0.39)]
    assert all(two.scores[case] > score for case, score in found.scores.items())


def test_on_the_transformer_pcgrad_and_rgd_pay_with_the_rest(boards):
    found = [row(boards[TRANSFORMER], name) for name in ("pcgrad", "rgd")]
    assert min(one.component("inverted") for one in found) > 0.9
    assert [round(one.component("utility"), 2) for one in found] == [0.41, 0.61]


def test_on_the_transformer_the_same_rows_score_next_to_nothing(boards):
    board = boards[TRANSFORMER]
    nothing = [
        "original",
        "cheat-noise",
        "cheat-remap",
        "simulated-retrain",
        "ascent",
        "gradient-surgery",
        "selective-amnesia",
        "neggrad-plus",
        "esd",
    ]
    assert max(row(board, name).score for name in nothing) < 0.05
    assert round(row(board, "oracle").score, 2) == 0.92


def searched(board):
    """The methods with the settings that a search found."""
    return [found for found in board.rows if found.role == "method" and found.name not in REPLICATED]


def scores_of(row, digit):
    return [run.score for run in row.runs if run.case.request == f"forget_class={digit}"]


def test_on_mnist_the_0_is_forgotten_by_most_and_the_others_by_none(boards):
    methods = {found.name: found for found in searched(boards[MNIST])}
    assert len(methods) == 12
    assert sum(min(scores_of(found, 0)) > 0.9 for found in methods.values()) == 7
    assert max(max(scores_of(found, 1)) for name, found in methods.items() if name != "uno") < 0.7
    assert max(max(scores_of(found, 8)) for found in methods.values()) < 0.76
    known = [found.component("known") for found in methods.values()]
    assert sum(share > 0.8 for share in known) == 10


def test_on_mnist_retain_side_surgery_leads_without_harm_and_plain_surgery_has_the_lowest_score(boards):
    ranked = searched(boards[MNIST])
    assert (ranked[0].name, *rounded(ranked[0])) == ("retain-surgery", 0.75, 0.53, 0.97)
    assert min(run.utility for run in ranked[0].runs) > 0.995
    assert len([found for found in ranked if found.rank == 1]) == 10
    assert (ranked[-1].name, *rounded(ranked[-1])) == ("gradient-surgery", 0.11, 0.0, 0.23)
    config = ranked[-1].runs[0].record.method.config
    assert (config["steps"], config["optimizer"]) == (97, "sgd")


def test_on_mnist_sfron_fails_on_one_seed_of_the_0(boards):
    for name, scores in (("sfron", [0.95, 0.06]), ("sfron-dualoptim", [0.98, 0.1])):
        runs = [run for run in row(boards[MNIST], name).runs if run.case.request == "forget_class=0"]
        assert [round(run.score, 2) for run in runs] == scores
        assert runs[1].components["known"] > 0.99
        assert runs[1].components["drawn"] < 0.01


def test_on_mnist_none_passes_for_a_retrained_model(boards):
    ranked = [found for found in boards["mnist-vae · indistinguishability"].rows if found.rank]
    methods = {found.name for found in ranked if found.role == "method"}
    assert max(found.score for found in ranked if found.name in methods) < 0.41
    assert not [pair for pair in told_apart(ranked) if pair <= methods]


def test_ascent_and_surgery_under_adam_wreck_the_autoencoder(boards):
    board = boards[MNIST]
    original = row(board, "original").metric("fid_retain")[0]
    for name in REPLICATED[:2]:
        found = row(board, name)
        assert found.metric("feature_ratio")[0] < 0.02
        assert found.metric("steps_to_threshold")[0] < 20
        assert found.metric("fid_retain")[0] > 1.15 * original


def test_retain_surgery_and_uno_keep_the_autoencoder_and_the_digit(boards):
    board = boards[MNIST]
    original = row(board, "original")
    for name in REPLICATED[2:]:
        found = row(board, name)
        assert found.metric("fid_retain")[0] <= 1.15 * original.metric("fid_retain")[0]
        assert 0.02 < found.metric("feature_ratio")[0] <= original.metric("feature_ratio")[0] * 1.1


def test_one_corrective_step_does_not_do_it_and_eleven_do(boards):
    one, two = boards["digits-vae · forgetting"], boards["digits-vae · indistinguishability"]
    for steps in (1, 3):
        assert max(run.score for run in row(one, f"gradient-surgery (steps={steps})").runs) < 0.02
    found = row(one, "gradient-surgery")
    assert (found.runs[0].record.method.config["steps"], found.runs[0].record.method.config["optimizer"]) == (11, "sgd")
    assert found.score == pytest.approx(0.66, abs=0.005)
    assert (round(found.interval.low, 2), round(found.interval.high, 2)) == (0.54, 0.79)
    assert found.retraining.value < 0.005
    assert all(
        other.score < 0.5 or other.retraining.value > found.retraining.value for other in one.rows if other != found
    )
    assert row(two, "gradient-surgery").score < 0.2


def test_retain_side_surgery_leads_one_track_and_not_the_other(boards):
    one, two = boards["digits-vae · forgetting"], boards["digits-vae · indistinguishability"]
    ranked = [other for other in one.rows if other.rank]
    assert ranked[0].name == "retain-surgery"
    assert rounded(ranked[0]) == (0.88, 0.82, 0.94)
    assert ranked[0].rank_range == (1, 9)
    assert row(two, "retain-surgery").score < 0.2


def test_tuning_decides():
    from unlearnbench.benchmark.running.tuned import found_settings

    searched = found_settings("digits-vae").values()
    gains = [found.score - found.paper_score for found in searched]
    assert min(gains) > 0
    assert sum(gain > 0.5 for gain in gains) == 6
    own = [found.history[0] for found in searched]
    assert sum(trial.share > 0.25 for trial in own) == 4
    assert sum(found.paper_score < 0.05 for found in searched if found.history[0].share <= 0.25) == 3
