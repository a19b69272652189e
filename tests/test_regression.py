"""Quality against a baseline: closed forms of the bounds, the verdicts, and planted histories."""

import functools
import math

import numpy as np
import pytest
from scipy import stats

from helpers import GOOD, IDENTITY, ROOT, SCALES, TASK, UNTOUCHED, anchors, make_record
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.record import Device, Status
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.docs.make.guarding import KINDS, PAGE, RATES, rates, simulate, templates, with_tables
from unlearnbench.leaderboard.regression.losses import ALPHA, BOUND, POWER, Loss, Series, detectable, paired_loss
from unlearnbench.leaderboard.regression.margins import Margin, Measure, Target, measures
from unlearnbench.leaderboard.regression.noise import NOTHING, Moderated, Prior
from unlearnbench.leaderboard.regression.regress import compare
from unlearnbench.leaderboard.regression.verdicts import Verdict

JITTER = (0.001, -0.002, 0.0, 0.002, -0.001)


def history(seeds=3, noise=JITTER, **worse):
    """A baseline and what came after it, in which some metrics are worse by something."""

    def made(share, moved):
        values = [
            {k: v + moved.get(k, 0.0) + share * noise[seed] * SCALES.get(k, 1.0) for k, v in GOOD.items()}
            for seed in range(seeds)
        ]
        return [make_record("mine", seed, found) for seed, found in enumerate(values)]

    return made(1.0, {}), made(-0.5, worse)


def verdicts(comparison):
    return {finding.what: finding.verdict for finding in comparison.findings}


def test_the_paired_bound_is_students_and_the_pooled_one_takes_both_sides():
    before, now = np.array([0.10, 0.12, 0.17]), np.array([0.14, 0.15, 0.22])
    loss = paired_loss(Series(before, now, 0.0, 0.0, 0.0), NOTHING)
    paired, pooled = loss.errors
    assert loss.mean == pytest.approx(0.04)
    assert math.sqrt(paired.variance) == pytest.approx(stats.sem(now - before))
    assert paired.freedom == 2
    assert pooled == Moderated(pytest.approx((before.var(ddof=1) + now.var(ddof=1)) / 3), 4)
    # Each bound gets half of the error of its end.
    low, high = loss.bounds()
    halves = [stats.t.isf(BOUND / 2, error.freedom) * math.sqrt(error.variance) for error in loss.errors]
    assert (low, high) == (pytest.approx(0.04 - min(halves)), pytest.approx(0.04 + min(halves)))
    student = stats.ttest_rel(now, before, alternative="greater").pvalue
    welch = stats.ttest_ind(now, before, alternative="greater").pvalue
    assert loss.p_value() == pytest.approx(2 * min(student, welch))


def test_equal_losses_say_nothing_of_the_scatter_and_a_lone_seed_leans_on_other_runs():
    same = np.array([0.1, 0.1, 0.1])
    (pooled,) = paired_loss(Series(same, same + 0.01, 0.0004, 0.0, 0.0), NOTHING).errors
    # Saturated metrics do not scatter; what is left is their sampling error.
    assert pooled == Moderated(pytest.approx(2 * 0.0004 / 3), 4)
    (lone,) = paired_loss(Series(same[:1], same[:1], 0.0004, 0.0, 0.0), Prior(2.0, 5.0)).errors
    assert lone == Moderated(pytest.approx(2 * 2.0 * 0.0004), 5.0)
    (unknown,) = paired_loss(Series(same[:1], same[:1], 0.0, 0.0, 0.0), NOTHING).errors
    assert Loss(0.0, (unknown,)).bounds() == (-math.inf, math.inf)
    assert Loss(9.0, (unknown,)).p_value() == 1.0


@pytest.mark.parametrize("freedom", [2, 5, 50])
def test_the_detectable_loss_is_called_significant_as_often_as_promised(freedom):
    generator = np.random.default_rng(0)
    needed = detectable(Moderated(1.0, freedom), 2, 7)
    draws = (generator.standard_normal(200_000) + needed) / np.sqrt(generator.chisquare(freedom, 200_000) / freedom)
    assert np.mean(stats.t.sf(draws, freedom) < ALPHA / 14) == pytest.approx(POWER, abs=0.002)


@pytest.mark.parametrize(
    ("worse", "value", "bad"),
    [
        ("less", 0.9, -0.9),
        ("more", 0.9, 0.9),
        ("off target", 0.9, 0.4),
        ("off target", 0.1, 0.4),
        ("short of target", 0.9, 0.0),
        ("short of target", 0.1, 0.4),
        ("below goal", 0.9, 0.1),
    ],
)
def test_which_way_is_worse(worse, value, bad):
    assert Measure("m", worse, Margin(0.1), goal=1.0).badness(value, Target(0.5, 0.0)) == pytest.approx(bad)


def test_short_of_a_target_is_on_the_originals_side_and_on_either_where_that_is_not_known():
    measure = Measure("m", "short of target", Margin(0.1))
    assert measure.badness(0.9, Target(0.5, 1.0)) == pytest.approx(0.4)
    assert measure.badness(0.1, Target(0.5, 1.0)) == 0.0
    assert measure.badness(0.1, Target(0.5)) == pytest.approx(0.4)


def test_a_goal_is_reached_at_its_value_and_no_worse_beyond():
    assert Measure("m", "below goal", Margin(0.1), goal=1.0).badness(2.0, None) == 0.0
    assert Measure("m", "above goal", Margin(0.1), goal=0.2).badness(0.3, None) == pytest.approx(0.1)
    assert Measure("m", "above goal", Margin(0.1), goal=0.2).badness(0.1, None) == 0.0


def test_a_familys_tracks_say_what_is_guarded():
    family = registry.families.find("class-forgetting")
    found = {m.metric: (m.worse, str(m.margin)) for m in measures(family, dict.fromkeys(GOOD, "max"))}
    assert found["forget_accuracy"] == ("short of target", "0.05")
    # Indistinguishability holds it to both sides.
    assert found["inverted_loss"] == ("off target", "5.0%")
    # A quarter of the way from a gate's noise to its end.
    assert found["fid_retain"] == ("more", "26.2%")
    assert found["retain_accuracy"] == ("less", "0.03125")
    assert len(found) == len(GOOD)
    gates = {gate.quantity.name: gate for track in family.tracks for gate in track.gates}
    guarded = measures(family, dict.fromkeys(gates, "max"))
    assert {m.metric for m in guarded} == gates.keys()
    assert all(m.margin.value > gates[m.metric].noise for m in guarded)
    # A family that is not known is guarded by its metrics' own directions.
    directions = {"speed": "max", "error": "min", "share": "match", "picture": "info"}
    own = {m.metric: m.worse for m in measures(None, directions)}
    assert own == {"speed": "less", "error": "more"}


def test_an_unchanged_method_is_fine_and_one_that_is_worse_by_its_margin_is_a_regression():
    before, after = history()
    assert compare(before, after, references=anchors()).verdict is Verdict.FINE
    for metric, by in (("retain_accuracy", -0.04), ("forget_gap", -0.004), ("fid_retain", 0.3)):
        before, after = history(**{metric: by})
        found = compare(before, after, references=anchors())
        assert verdicts(found)[metric] is Verdict.REGRESSION
        assert found.exit_code == 1
        assert metric in found.sentence
        assert [f.what for f in found.findings if f.verdict is Verdict.REGRESSION] == [metric]


def test_noise_that_hides_the_margin_is_inconclusive_and_says_what_would_be_caught():
    before, after = history(noise=(0.06, -0.07, 0.01), retain_accuracy=-0.025)
    found = compare(before, after, references=anchors())
    assert found.exit_code == 2
    (finding,) = [f for f in found.findings if f.what == "retain_accuracy"]
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.detectable > finding.margin
    assert "run more seeds" in finding.sentence


def test_runs_that_are_the_same_to_the_last_digit_are_fine_whatever_the_noise():
    before, _ = history(noise=(0.3, -0.2, 0.0))
    found = compare(before, before, references=anchors())
    assert found.exit_code == 0
    assert {f.loss for f in found.findings if f.loss is not None} == {0.0}


def test_intervals_of_another_library_version_do_not_make_equal_runs_different():
    before, _ = history(noise=(0.3, -0.2, 0.0))
    other = [m.model_copy(update={"ci_low": m.ci_low - 1e-15}) for m in before[0].metrics]
    after = [before[0].model_copy(update={"metrics": other}), *before[1:]]
    found = compare(before, after, references=anchors())
    assert found.exit_code == 0
    assert {f.loss for f in found.findings if f.loss is not None} == {0.0}


def moved(records, metric, by):
    """Copies of records with one metric somewhere else."""
    changed = [
        [m.model_copy(update={"value": m.value + by * m.value}) if m.name == metric else m for m in record.metrics]
        for record in records
    ]
    return [record.model_copy(update={"metrics": metrics}) for record, metrics in zip(records, changed, strict=True)]


def test_another_processors_arithmetic_makes_no_equal_metric_uncertain_and_another_run_does():
    before, _ = history(noise=(0.3, -0.2, 0.0))
    found = compare(before, moved(before, "fid_retain", 1e-7), references=anchors())
    equal = {f.what: f for f in found.findings if f.loss == 0.0}
    assert {"retain_accuracy", "retain_loss"} <= equal.keys()
    assert all(f.verdict is Verdict.FINE and "the same to the last digit" in f.sentence for f in equal.values())
    assert "fid_retain" not in equal
    found = compare(before, moved(before, "fid_retain", 0.1), references=anchors())
    (accuracy,) = [f for f in found.findings if f.what == "retain_accuracy"]
    assert (accuracy.loss, accuracy.verdict) == (0.0, Verdict.INCONCLUSIVE)


def test_better_is_fine_and_a_margin_can_be_set():
    before, after = history(retain_accuracy=0.03)
    assert compare(before, after, references=anchors()).exit_code == 0
    before, after = history(retain_accuracy=-0.04)
    assert compare(before, after, references=anchors(), margins={"retain_accuracy": 0.1}).exit_code == 0
    with pytest.raises(BenchmarkError, match="did you mean retain_accuracy"):
        compare(before, after, references=anchors(), margins={"retain_acuracy": 0.1})
    with pytest.raises(BenchmarkError, match="give a number above 0"):
        compare(before, after, references=anchors(), margins={"retain_accuracy": -1})


def at(method, metric, *values):
    return [make_record(method, seed, {**GOOD, metric: value}) for seed, value in enumerate(values)]


def test_away_from_the_oracle_is_worse_on_either_side_where_a_track_looks_at_both():
    oracles = at("oracle", "inverted_loss", 0.1, 0.1, 0.1)
    before = at("mine", "inverted_loss", 0.1001, 0.0998, 0.1)
    for value in (0.09, 0.11):
        after = at("mine", "inverted_loss", value, value + 0.0001, value - 0.0001)
        assert verdicts(compare(before, after, references=oracles))["inverted_loss"] is Verdict.REGRESSION
        assert verdicts(compare(after, before, references=oracles))["inverted_loss"] is Verdict.FINE
    # Without an oracle nobody knows which way is worse.
    found = compare(before, after)
    assert verdicts(found)["inverted_loss"] is Verdict.NOT_COMPARABLE
    assert "unlearnbench run digits-ddpm oracle" in found.sentence
    assert found.exit_code == 3


def test_beyond_the_oracle_is_no_worse_where_that_is_to_be_reached():
    references = [*at("oracle", "forget_accuracy", 0.4, 0.4), *at("original", "forget_accuracy", 0.99, 0.99)]
    reached, beyond, short = (at("mine", "forget_accuracy", *(v + j for j in JITTER[:3])) for v in (0.4, 0.1, 0.5))
    assert verdicts(compare(reached, beyond, references=references))["forget_accuracy"] is Verdict.FINE
    assert verdicts(compare(reached, short, references=references))["forget_accuracy"] is Verdict.REGRESSION
    assert verdicts(compare(beyond, short, references=references))["forget_accuracy"] is Verdict.REGRESSION


def changed(records, **fields):
    return [record.model_copy(update=fields) for record in records]


def other_identity(records, **fields):
    identity = IDENTITY.model_copy(update=fields)
    return [
        r.model_copy(update={"metrics": [m.model_copy(update={"identity": identity}) for m in r.metrics]})
        for r in records
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rs: changed(rs, task=TASK.model_copy(update={"sha256": "9" * 64})), "the task's hash differs"),
        (lambda rs: other_identity(rs, name="mine"), "another computation"),
        (lambda rs: other_identity(rs, version=2), "another version of the computation"),
        (lambda rs: other_identity(rs, protocol="50 steps"), "another protocol"),
        (lambda rs: other_identity(rs, weights_sha256="8" * 64), "another judge's weights"),
        (lambda rs: other_identity(rs, reference_sha256="8" * 64), "another reference"),
        (lambda rs: [r.model_copy(update={"seed": r.seed + 10}) for r in rs], "share no seed"),
        (lambda rs: [r.model_copy(update={"metrics": r.metrics[:-1]}) for r in rs], "coverage is not defined in all"),
        (lambda rs: [], "was not run now"),
    ],
)
def test_what_is_not_comparable(change, says):
    before, after = history()
    found = compare(before, change(after), references=anchors())
    assert found.exit_code == 3
    assert says in " ".join(f.sentence for f in found.findings if f.verdict is Verdict.NOT_COMPARABLE)


def test_a_regression_outweighs_what_is_not_comparable():
    before, after = history(retain_accuracy=-0.05)
    other = [make_record("other", seed) for seed in range(3)]
    assert compare([*before, *other], after, references=anchors()).exit_code == 1
    before, after = history()
    assert compare([*before, *other], after, references=anchors()).exit_code == 3
    assert compare([*before, *other], after, references=anchors(), partial=True).exit_code == 0
    assert compare([], []).exit_code == 3


def test_a_run_that_fails_now_is_a_regression_and_one_that_always_failed_is_not_compared():
    before, after = history()
    failed = make_record("mine", 1, status=Status.OUT_OF_MEMORY, reason="8 GB were not enough")
    found = compare(before, [after[0], failed, after[2]], references=anchors())
    assert found.exit_code == 1
    assert "seed 1 ended well in the baseline and now as out-of-memory: 8 GB" in found.sentence
    found = compare([before[0], failed, before[2]], [after[0], failed, after[2]], references=anchors())
    assert Verdict.REGRESSION not in verdicts(found).values()
    assert compare([failed], [failed]).exit_code == 3


def test_quality_is_paired_across_devices_and_says_so_unless_that_is_refused():
    before, after = history()
    elsewhere = changed(after, device=Device(kind="cpu", name="Other CPU", threads=1))
    found = compare(before, elsewhere, references=anchors())
    assert found.exit_code == 0
    assert any("across devices" in note for note in found.notes)
    assert "Test CPU" in found.findings[0].device
    assert "→" in found.findings[0].device
    assert verdicts(found)["step_time"] is Verdict.NOT_JUDGED
    assert compare(before, elsewhere, references=anchors(), cost="required").exit_code == 3
    assert compare(before, elsewhere, references=anchors(), same_device=True).exit_code == 3
    # Where a device is in both, its runs are taken.
    found = compare(before, [*after, *elsewhere], references=anchors())
    assert {finding.device for finding in found.findings} == {"cpu · Test CPU · 1 thread · fp32"}


def test_what_was_set_makes_another_row():
    before = [make_record("mine", seed, passed={"steps": 5}) for seed in range(3)]
    after = [make_record("mine", seed, passed={"steps": 9}) for seed in range(3)]
    found = compare(before, after, references=anchors())
    assert found.exit_code == 3
    assert any("steps=9" in note and "not in the baseline" in note for note in found.notes)


def test_the_worst_class_is_guarded_whichever_it_is_and_classes_one_by_one_are_not():
    before, after = history(retain_accuracy_worst=-0.12)

    def per_class(records, worst):
        made = []
        for record in records:
            named = [
                m.model_copy(update={"label": worst if m.name.endswith("_worst") else None}) for m in record.metrics
            ]
            extra = [named[0].model_copy(update={"name": "retain_accuracy_class", "label": c}) for c in range(3)]
            made.append(record.model_copy(update={"metrics": [*named, *extra]}))
        return made

    found = verdicts(compare(per_class(before, 1), per_class(after, 2), references=anchors()))
    assert found["retain_accuracy_worst"] is Verdict.REGRESSION
    assert "retain_accuracy_class" not in found


@functools.cache
def committed():
    return templates(load_records([ROOT / "leaderboard" / "results"]).records)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("seeds", [3, 5])
def test_planted_histories_with_the_committed_noise(seeds, shared):
    """At least 200 histories a kind: the two rates that the check promises, and no verdict where noise forbids one."""
    n = 300
    unchanged, worse, noisy, better = (rates(committed(), kind, seeds, shared, n) for kind in KINDS)
    assert unchanged[Verdict.REGRESSION] <= 0.02 * n
    assert worse[Verdict.REGRESSION] >= 0.95 * n
    # A metric that is worse by its margin is called fine at most once in forty times, give or take what 300 draws leave open.
    assert noisy[Verdict.FINE] <= 0.05 * n
    assert noisy[Verdict.INCONCLUSIVE] > 0.5 * n
    assert better[Verdict.REGRESSION] <= 0.02 * n


def test_planted_histories_in_brief():
    n = 200
    assert rates(committed(), "unchanged", 3, 0.0, n)[Verdict.REGRESSION] <= 0.02 * n
    assert rates(committed(), "worse", 3, 0.0, n)[Verdict.REGRESSION] >= 0.95 * n


def test_noise_far_beyond_the_margins_decides_nothing():
    row = max(committed(), key=unresolved)
    assert unresolved(row)
    found = rates([row], "worse, too noisy", 3, 0.0, 50)
    assert found[Verdict.FINE] <= 3
    assert found[Verdict.INCONCLUSIVE] > 25


def unresolved(row):
    return sum(not row.resolves(metric, 3, 0.0) for metric in row.found)


@pytest.mark.slow
def test_many_rows_at_once_are_no_more_often_flagged_than_one():
    generator = np.random.default_rng(1)
    flagged, histories = 0, 40
    for _ in range(histories):
        before, after, references = [], [], []
        for row in generator.choice(len(committed()), size=5, replace=False):
            chosen = committed()[row]
            old, new = simulate(chosen, "unchanged", "", 3, 0.0, generator)
            before, after, references = [*before, *old], [*after, *new], [*references, *chosen.references]
        flagged += compare(before, after, references=references, cost="off").verdict is Verdict.REGRESSION
    assert flagged <= 1


def test_a_history_that_is_worse_is_worse_by_exactly_the_margin():
    generator = np.random.default_rng(0)
    row = next(row for row in committed() if "retain_accuracy" in row.found)
    margin = row.found["retain_accuracy"][0].margin.value
    before, after = simulate(row, "worse", "retain_accuracy", 3, 1.0, generator)
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old.metrics, new.metrics, strict=True):
            assert a.value - b.value == pytest.approx(margin if a.name == "retain_accuracy" else 0.0, abs=1e-12)


def test_the_page_is_what_the_file_says_and_the_file_keeps_the_promise():
    import json

    found = json.loads(RATES.read_text())
    page = PAGE.read_text()
    assert page == with_tables(page, found)
    kinds = {(row["kind"], row["seeds"], row["shared"]): row for row in found["rates"]}
    for (kind, *_), row in kinds.items():
        assert row["histories"] >= 200
        if kind in ("unchanged", "better"):
            assert row["regression"] <= 0.02 * row["histories"], row
        elif kind == "worse":
            assert row["regression"] >= 0.95 * row["histories"], row
    assert {seeds for _, seeds, _ in kinds} >= {3, 5}
    assert UNTOUCHED.keys() <= found["resolved"].keys()
