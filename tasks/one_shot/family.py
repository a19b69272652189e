"""What one-shot forgetting measures and how it is scored. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Component, Family, Gate, Margin, Quantity, Track

FEATURE_RATIO = Quantity(
    "feature_ratio",
    "match",
    "Feature ratio",
    "Share of samples that a judge takes for the forgotten class",
    short="ratio",
    headline=True,
    margin=Margin(0.02),
)
SAMPLE_SHARE = Quantity("sample_share", "info", by_label=True)
FID = Quantity("fid", "min", "FID", "Frechet distance of all samples to real images of the retained classes", "FID")
FID_RETAIN = Quantity(
    "fid_retain",
    "min",
    "FID kept",
    "Frechet distance of the samples of other classes to real ones",
    short="FID kept",
    headline=True,
)
KID_RETAIN = Quantity("kid_retain", "min")
PRECISION = Quantity("precision", "max")
RECALL = Quantity("recall", "max")
DENSITY = Quantity("density", "max")
COVERAGE = Quantity("coverage", "max")
OFF_MANIFOLD = Quantity("off_manifold", "match")
ORACLE_DISTANCE = Quantity(
    "oracle_distance",
    "match",
    "Oracle dist.",
    "Frechet distance of all samples to the oracle's",
    headline=True,
    margin=Margin(0.25, relative=True),
)
BOUND_FORGET = Quantity("bound_forget", "match")
BOUND_RETAIN = Quantity("bound_retain", "min")
STEPS_TO_THRESHOLD = Quantity(
    "steps_to_threshold",
    "info",
    "Steps to goal",
    "First step with a feature ratio below the task's threshold",
)
FID_AT_THRESHOLD = Quantity("fid_at_threshold", "info", "FID at goal", "FID of the model at that step")


FAMILY = Family(
    name="one-shot",
    quantities=(
        FEATURE_RATIO,
        SAMPLE_SHARE,
        FID,
        FID_RETAIN,
        KID_RETAIN,
        PRECISION,
        RECALL,
        DENSITY,
        COVERAGE,
        OFF_MANIFOLD,
        ORACLE_DISTANCE,
        BOUND_FORGET,
        BOUND_RETAIN,
        STEPS_TO_THRESHOLD,
        FID_AT_THRESHOLD,
    ),
    tracks=(
        Track(
            components=(
                Component(
                    "removal", FEATURE_RATIO, "match", "the forgotten class comes out as seldom as from the oracle"
                ),
                Component(
                    "likeness",
                    ORACLE_DISTANCE,
                    "distance",
                    "samples are distributed as the oracle's (Frechet distance)",
                ),
            ),
            gates=(Gate(FID_RETAIN, 0.5, relative=True), Gate(COVERAGE, 0.15)),
            columns=(
                FEATURE_RATIO,
                FID_RETAIN,
                FID,
                ORACLE_DISTANCE,
                STEPS_TO_THRESHOLD,
                FID_AT_THRESHOLD,
            ),
            destination=SAMPLE_SHARE,
        ),
    ),
)
