"""What class forgetting measures and how it is scored. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Component, Family, Gate, Margin, Quantity, Track
from ..judges.closeness import CLOSENESS, COVERAGE, FID_RETAIN

_LOSS = Margin(0.05, relative=True)
"""Losses are relative, since their scale is the task's."""

FORGET_ACCURACY = Quantity(
    "forget_accuracy",
    "match",
    "Forget acc.",
    "Share of samples for the forgotten label that a judge takes for it",
    short="forget",
    headline=True,
    margin=Margin(0.05),
)
UNCONDITIONAL_FORGET_SHARE = Quantity("unconditional_forget_share", "match", margin=Margin(0.03))
RETAIN_ACCURACY_CLASS = Quantity("retain_accuracy_class", "max", by_label=True)
RETAIN_ACCURACY = Quantity(
    "retain_accuracy",
    "max",
    "Retain acc.",
    "Share of samples for the other labels that a judge takes for theirs",
    short="retain",
    less_favourable="min",
    headline=True,
    mean_of=RETAIN_ACCURACY_CLASS,
)
FORGET_DESTINATION = Quantity("forget_destination", "info", by_label=True)
OFF_MANIFOLD = Quantity("off_manifold", "match")
ORACLE_DISTANCE_RETAIN = Quantity("oracle_distance_retain", "match")
ORACLE_DISTANCE_NULL = Quantity(
    "oracle_distance_null",
    "match",
    "Unlabelled dist.",
    "Frechet distance of samples without a label to the oracles'",
)
FORGET_LOSS = Quantity(
    "forget_loss",
    "match",
    "Loss",
    "Denoising loss on held-out pictures of the forgotten class, without a label",
    margin=_LOSS,
)
INVERTED_LOSS = Quantity(
    "inverted_loss",
    "match",
    "Inverted",
    "Denoising loss on held-out pictures of the class after a fresh embedding was fitted to ten, all other weights frozen",
    short="inverted",
    headline=True,
    margin=_LOSS,
)
RELEARNED_LOSS = Quantity("relearned_loss", "match", margin=_LOSS)
FORGET_GAP = Quantity(
    "forget_gap",
    "match",
    "Loss gap",
    "How much larger the unlabelled loss is on held-out pictures of the forgotten class than on the others",
    short="gap",
    headline=True,
    margin=Margin(0.003),
)
INVERTED_GAP = Quantity("inverted_gap", "match", margin=Margin(0.003))
RELEARNED_GAP = Quantity(
    "relearned_gap",
    "match",
    "Relearned",
    "How much larger the loss stays than on the others when, after that, all weights are trained on the ten",
    short="relearned",
    headline=True,
    margin=Margin(0.003),
)
INVERTED_ACCURACY = Quantity(
    "inverted_accuracy",
    "info",
    "Inverted acc.",
    "Share of samples with the fitted embedding that a judge takes for the class",
)
RELEARNED_ACCURACY = Quantity(
    "relearned_accuracy", "info", "Relearned acc.", "The same after all weights were trained on ten pictures"
)
BENIGN_ACCURACY = Quantity(
    "benign_accuracy",
    "info",
    "Benign acc.",
    "The same after all weights were trained on retained pictures for a few steps",
)
RETAIN_LOSS = Quantity(
    "retain_loss",
    "min",
    "Retain loss",
    "Denoising loss on held-out pictures of the other classes, with their labels",
    short="kept loss",
    headline=True,
    margin=_LOSS,
)
JUDGE_ACCURACY = Quantity("judge_accuracy", "info")
RETAIN_ACCURACY_WORST = Quantity(
    "retain_accuracy_worst",
    "max",
    "Worst class",
    "The retained class that suffers most",
    headline=True,
    worst_of=RETAIN_ACCURACY_CLASS,
)


_GATES = (
    Gate(RETAIN_LOSS, 0.25, relative=True, noise=0.01),
    Gate(RETAIN_ACCURACY, 0.08, noise=0.015),
    Gate(RETAIN_ACCURACY_WORST, 0.25, noise=0.06),
    Gate(FID_RETAIN, 0.75, relative=True, noise=0.1),
    Gate(COVERAGE, 0.2, noise=0.04),
)
_COLUMNS = (
    FORGET_ACCURACY,
    FORGET_GAP,
    INVERTED_LOSS,
    RELEARNED_GAP,
    INVERTED_ACCURACY,
    RELEARNED_ACCURACY,
    BENIGN_ACCURACY,
    RETAIN_LOSS,
    RETAIN_ACCURACY,
    RETAIN_ACCURACY_WORST,
    FID_RETAIN,
)

FAMILY = Family(
    name="class-forgetting",
    quantities=(
        FORGET_ACCURACY,
        FORGET_LOSS,
        FORGET_GAP,
        INVERTED_LOSS,
        INVERTED_GAP,
        RELEARNED_LOSS,
        RELEARNED_GAP,
        INVERTED_ACCURACY,
        RELEARNED_ACCURACY,
        BENIGN_ACCURACY,
        RETAIN_LOSS,
        UNCONDITIONAL_FORGET_SHARE,
        RETAIN_ACCURACY,
        RETAIN_ACCURACY_WORST,
        RETAIN_ACCURACY_CLASS,
        FORGET_DESTINATION,
        FID_RETAIN,
        *CLOSENESS,
        OFF_MANIFOLD,
        ORACLE_DISTANCE_RETAIN,
        ORACLE_DISTANCE_NULL,
        JUDGE_ACCURACY,
    ),
    tracks=(
        Track(
            name="forgetting",
            components=(
                Component("asked", FORGET_ACCURACY, "reach", "asked for the class, the model no longer draws it"),
                Component(
                    "unasked", FORGET_GAP, "reach", "without a label its pictures are as foreign as to an oracle"
                ),
                Component(
                    "inverted", INVERTED_LOSS, "reach", "and so they stay when a fresh embedding is fitted to ten"
                ),
                Component(
                    "relearned", RELEARNED_GAP, "reach", "and when, after that, all weights are trained on the ten"
                ),
            ),
            gates=_GATES,
            columns=_COLUMNS,
            destination=FORGET_DESTINATION,
        ),
        Track(
            name="indistinguishability",
            components=(
                Component(
                    "unasked",
                    FORGET_GAP,
                    "alike",
                    "without a label pictures of the class are as foreign as to an oracle",
                ),
                Component(
                    "inverted", INVERTED_LOSS, "alike", "and so they are when a fresh embedding is fitted to ten"
                ),
                Component(
                    "relearned", RELEARNED_GAP, "alike", "and when, after that, all weights are trained on the ten"
                ),
                Component(
                    "unlabelled",
                    ORACLE_DISTANCE_NULL,
                    "distance",
                    "samples without a label are distributed as an oracle's",
                ),
            ),
            gates=_GATES,
            columns=(*_COLUMNS, ORACLE_DISTANCE_NULL),
            destination=FORGET_DESTINATION,
        ),
    ),
)
