"""What class suppression, class forgetting without an oracle, measures and how it is scored. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Component, Family, Gate, Margin, Quantity, Track
from ..judges.closeness import CLOSENESS, COVERAGE, FID_RETAIN

FORGET_ACCURACY = Quantity(
    "forget_accuracy",
    "min",
    "Forget acc.",
    "Share of samples for the forgotten label that a judge takes for it",
    short="forget",
    headline=True,
    margin=Margin(0.05),
)
INVERTED_ACCURACY = Quantity(
    "inverted_accuracy",
    "min",
    "Inverted",
    "The same after a fresh embedding of the label was fitted to a few pictures, all other weights frozen",
    short="inverted",
    headline=True,
    margin=Margin(0.1),
)
INVERTED_LOSS = Quantity("inverted_loss", "info")
RETAIN_ACCURACY = Quantity(
    "retain_accuracy",
    "max",
    "Retain acc.",
    "Share of samples for the other labels that a judge takes for theirs",
    short="retain",
    less_favourable="min",
    headline=True,
)
NEAR_ACCURACY_CLASS = Quantity("near_accuracy_class", "max", by_label=True)
RETAIN_ACCURACY_NEAR = Quantity(
    "retain_accuracy_near",
    "max",
    "Near classes",
    "The same for the classes most like the forgotten one",
    mean_of=NEAR_ACCURACY_CLASS,
)
UNCONDITIONAL_FORGET_SHARE = Quantity("unconditional_forget_share", "info")
FORGET_DESTINATION = Quantity("forget_destination", "info", by_label=True)
OFF_MANIFOLD = Quantity("off_manifold", "info")

_GATES = (
    Gate(RETAIN_ACCURACY, 0.05, noise=0.015),
    Gate(RETAIN_ACCURACY_NEAR, 0.2, noise=0.08),
    Gate(FID_RETAIN, 0.5, relative=True, noise=0.05),
    Gate(COVERAGE, 0.15, noise=0.02),
)
"""The noise of shares is computed: 2.33 standard deviations of a difference of two binomial shares near 0.75, of 9,990, 400 and
5,000 samples. That of the Frechet distance is assumed: the model was not run here."""

FAMILY = Family(
    name="class-suppression",
    quantities=(
        FORGET_ACCURACY,
        INVERTED_ACCURACY,
        INVERTED_LOSS,
        RETAIN_ACCURACY,
        RETAIN_ACCURACY_NEAR,
        NEAR_ACCURACY_CLASS,
        UNCONDITIONAL_FORGET_SHARE,
        FORGET_DESTINATION,
        FID_RETAIN,
        *CLOSENESS,
        OFF_MANIFOLD,
    ),
    tracks=(
        Track(
            name="suppression",
            components=(
                Component("asked", FORGET_ACCURACY, "goal", "asked for the class, the model no longer draws it"),
                Component(
                    "inverted",
                    INVERTED_ACCURACY,
                    "goal",
                    "nor does it when a fresh embedding is fitted to a few pictures",
                ),
            ),
            gates=_GATES,
            columns=(FORGET_ACCURACY, INVERTED_ACCURACY, RETAIN_ACCURACY, RETAIN_ACCURACY_NEAR, FID_RETAIN),
            destination=FORGET_DESTINATION,
        ),
    ),
)
