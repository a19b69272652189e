"""The sentences of docs/findings.md, over the committed records."""

import numpy as np
import pytest

from helpers import BUILT_IN, ROOT
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.leaderboard.ranking import rank_all

IN_PAINTING, AS_RETRAINED = "digits-mae · suppression", "digits-mae · indistinguishability"
PROXIES = "digits-mae · proxy_fold={} retain_data=proxy · suppression"
GENTLE, SEARCHED, STRONG = (f"li2024 (alpha={alpha} lr=0.001 noise=uniform steps=2000)" for alpha in (0.03, 0.06, 0.25))


@pytest.fixture(scope="module")
def boards():
    return {board.title: board for board in rank_all(load_records([ROOT / "leaderboard" / "results"]).records)}


def row(board, name):
    (found,) = [row for row in board.rows if row.name == name]
    return found


def test_the_committed_boards_have_three_seeds_and_every_method_that_applies(boards):
    from unlearnbench.benchmark import registry
    from unlearnbench.benchmark.running.identity import make_task

    proxies = {PROXIES.format(fold) for fold in range(3)}
    proxies |= {title.replace("suppression", "indistinguishability") for title in proxies}
    assert set(boards) == {"digits-ddpm", "digits-dit", "digits-vae", "mnist-vae", IN_PAINTING, AS_RETRAINED} | proxies
    for board in boards.values():
        assert all(len(row.runs) == 3 and not row.failures for row in board.rows), board.title
    for name in ("digits-ddpm", "digits-dit", "digits-mae"):
        task = make_task(name, {})
        applicable = {method for method in BUILT_IN if not task.refusal(registry.methods.get(method))}
        board = boards[IN_PAINTING if name == "digits-mae" else name]
        assert {row.method for row in board.rows} == applicable


def test_the_board_separates_at_least_three_groups_of_honest_methods(boards):
    assert len({row.rank for row in boards["digits-ddpm"].rows if row.role == "method"}) >= 3


def test_sfron_forgets_in_a_fraction_of_selective_amnesias_steps_and_time(boards):
    fast, slow = (row(boards["digits-ddpm"], name) for name in ("sfron", "selective-amnesia"))
    assert slow.runs[0].record.cost.steps == 20 * fast.runs[0].record.cost.steps
    assert fast.unlearn_seconds < slow.unlearn_seconds / 5
    assert fast.score > slow.score
    assert fast.rank <= slow.rank
    assert max(fast.metric("forget_accuracy")) < 0.1
    assert min(fast.metric("retain_accuracy")) > 0.97


def test_methods_that_teach_noise_reach_no_forget_accuracy_and_are_far_from_the_oracle(boards):
    board = boards["digits-ddpm"]
    for name in ("ebu", "erasediff", "selective-amnesia"):
        assert max(row(board, name).metric("forget_accuracy")) < 0.15, name
        assert row(board, name).metric("oracle_distance")[0] > 1.5 * row(board, "oracle").metric("oracle_distance")[0]


def test_ascent_and_surgery_under_adam_wreck_the_autoencoder(boards):
    board = boards["mnist-vae"]
    original = row(board, "original").metric("fid_retain")[0]
    for name in ("ascent (lr=0.001 steps=40)", "gradient-surgery (lr=0.001 optimizer=adam steps=80)"):
        found = row(board, name)
        assert found.metric("feature_ratio")[0] < 0.02
        assert found.metric("steps_to_threshold")[0] < 20
        assert found.metric("fid_retain")[0] > 1.15 * original


def test_retain_surgery_and_uno_keep_the_autoencoder_and_the_digit(boards):
    board = boards["mnist-vae"]
    original = row(board, "original")
    for name in ("retain-surgery (lr=0.001 steps=200)", "uno (lr=0.001 steps=50)"):
        found = row(board, name)
        assert found.metric("fid_retain")[0] <= 1.15 * original.metric("fid_retain")[0]
        assert 0.02 < found.metric("feature_ratio")[0] <= original.metric("feature_ratio")[0] * 1.1


def values(row, name):
    """A metric's values, one a seed."""
    return [next(m.value for m in run.record.metrics if m.name == name) for run in row.runs]


@pytest.mark.parametrize("name", [SEARCHED, STRONG])
def test_li2024_suppresses_the_digit_and_costs_the_others_under_five_percent(boards, name):
    found = row(boards[IN_PAINTING], name)
    assert min(values(found, "suppression")) > 1
    assert max(values(found, "retain_change")) < 0.05
    assert found.rank == 1
    assert found.score > max(other.score for other in boards[IN_PAINTING].rows if other.method != "li2024")


def test_half_the_weight_goes_about_half_way(boards):
    gentle = row(boards[IN_PAINTING], GENTLE)
    assert 0.4 < np.mean(values(gentle, "suppression")) < 0.6
    assert np.mean(values(gentle, "retain_change")) < 0.015


@pytest.mark.parametrize("fold", [0, 1])
def test_proxies_serve_as_well_where_they_cover_the_neighbours(boards, fold):
    found = row(boards[PROXIES.format(fold)], GENTLE)
    assert min(values(found, "suppression")) > 0.5
    assert max(values(found, "retain_change")) < 0.05


def test_proxies_do_not_serve_where_the_neighbours_are_kept_unseen(boards):
    found = row(boards[PROXIES.format(2)], GENTLE)
    assert min(values(found, "suppression")) > 0.5
    assert min(values(found, "retain_change")) > 0.05


def test_an_oracle_still_fills_holes(boards):
    found = values(row(boards[IN_PAINTING], "oracle"), "suppression")
    assert min(found) > 0.6
    assert max(found) < 0.85


def test_most_other_methods_pay_with_the_rest(boards):
    board = boards[IN_PAINTING]
    for name in ("gradient-surgery", "pcgrad", "rgd"):
        assert row(board, name).failed_gates
    for found in board.rows:
        if found.role == "method" and found.method not in ("li2024", "random-encoder"):
            assert max(values(found, "retain_change")) > 0.05, found.name
    for name in ("finetune", "random-encoder (lr=0.001 steps=300)"):
        assert max(values(row(board, name), "suppression")) < 0.1


def test_a_gate_in_front_of_the_original_suppresses_and_scores_nothing(boards):
    gate = row(boards[IN_PAINTING], "cheat-gate")
    assert gate.metric("suppression")[0] > 0.35
    assert gate.score == 0


def test_judges_of_whole_pictures_read_the_visible_part(boards):
    noise = row(boards[IN_PAINTING], "cheat-fill")
    assert min(noise.metric("judge_accuracy_forget")) > 0.5


def test_the_best_methods_of_the_unet_carry_over_to_the_transformer(boards):
    for board in (boards["digits-ddpm"], boards["digits-dit"]):
        assert row(board, "loreun").rank == 1
        assert min(row(board, name).score for name in ("relabel", "salun", "eupmu", "erasediff")) > 0.6


def test_sfron_and_salun_with_dualoptim_do_not_carry_over(boards):
    unet, transformer = boards["digits-ddpm"], boards["digits-dit"]
    for name in ("sfron", "salun-dualoptim"):
        assert row(unet, name).score > 0.4
        assert row(transformer, name).score == 0
    distance = "oracle_distance"
    assert row(transformer, "sfron").metric(distance)[0] > row(transformer, "original").metric(distance)[0]
    assert max(row(transformer, "sfron").metric("forget_accuracy")) < 0.1
    assert row(transformer, "salun-dualoptim").failed_gates


def test_the_second_group_on_the_transformer_is_wide(boards):
    scores = [found.score for found in boards["digits-dit"].rows if found.rank == 2]
    assert min(scores) < 0.15
    assert max(scores) > 0.8
