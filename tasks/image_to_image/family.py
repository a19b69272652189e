"""What image-to-image forgetting measures and how it is scored, on two tracks. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Component, Family, Gate, Margin, Quantity, Track

_ERROR = Margin(0.25, relative=True)
"""Errors are relative, since their scale is the task's."""
HOLE_ERROR_FORGET = Quantity(
    "hole_error_forget",
    "match",
    "Forget error",
    "Mean squared error in the holes of forgotten test pictures",
    short="forget",
    less_favourable="min",
    margin=_ERROR,
    variants=True,
)
HOLE_ERROR_FORGET_TRAIN = Quantity(
    "hole_error_forget_train", "match", "Train error", "The same on the forgotten training pictures", margin=_ERROR
)
HOLE_ERROR_RETAIN = Quantity(
    "hole_error_retain",
    "min",
    "Retain error",
    "Mean squared error in the holes of retained test pictures",
    short="retain",
    variants=True,
)
HOLE_ERROR_NEAR = Quantity(
    "hole_error_near",
    "min",
    "Near error",
    "The same on the retained classes that look most like the forgotten ones",
)
HOLE_ERROR_UNSEEN = Quantity(
    "hole_error_unseen",
    "min",
    "Unseen error",
    "The same on pictures of a kind that the model was never trained on",
)
SUPPRESSION = Quantity("suppression", "max", headline=True, margin=Margin(0.1))
SUPPRESSION_BARE = Quantity("suppression_bare", "max", margin=Margin(0.1))
"""Of older records, from when a model could be more than its network. Nothing measures it any more."""
RETAIN_CHANGE = Quantity("retain_change", "min", headline=True)
JUDGE_ACCURACY_FORGET = Quantity(
    "judge_accuracy_forget",
    "info",
    "Judge acc.",
    "Share of whole forgotten pictures, filled, that a judge takes for theirs",
)
JUDGE_ACCURACY_RETAIN = Quantity("judge_accuracy_retain", "info")
FEATURE_COSINE = Quantity("feature_cosine", "info", variants=True)
HOLE_COSINE = Quantity("hole_cosine", "info", variants=True)
LPIPS = Quantity("lpips", "info", variants=True)
FID = Quantity("fid", "info", variants=True)
KID = Quantity("kid", "info", variants=True)
ORACLE_DISTANCE_FORGET = Quantity(
    "oracle_distance_forget",
    "match",
    "Oracle diff.",
    "Mean squared difference from what the oracles fill in",
    margin=_ERROR,
)
ORACLE_DISTANCE_FORGET_TRAIN = Quantity("oracle_distance_forget_train", "match")
ORACLE_DISTANCE_RETAIN = Quantity("oracle_distance_retain", "match")

_HOLE_COLUMNS = (
    HOLE_ERROR_FORGET,
    HOLE_ERROR_FORGET_TRAIN,
    HOLE_ERROR_RETAIN,
    HOLE_ERROR_NEAR,
    HOLE_ERROR_UNSEEN,
    JUDGE_ACCURACY_FORGET,
)
_HOLE_GATES = (
    Gate(HOLE_ERROR_RETAIN, 0.25, relative=True, noise=0.05),
    Gate(HOLE_ERROR_NEAR, 0.5, relative=True, noise=0.15),
)
"""Their noise is what the choice of test pictures leaves open: on the digits half the width of the interval of a retrained
network's change, paired picture by picture, and three times that for a ninth of the pictures."""


FAMILY = Family(
    name="image-to-image",
    quantities=(
        HOLE_ERROR_FORGET,
        HOLE_ERROR_FORGET_TRAIN,
        HOLE_ERROR_RETAIN,
        HOLE_ERROR_NEAR,
        HOLE_ERROR_UNSEEN,
        SUPPRESSION,
        SUPPRESSION_BARE,
        RETAIN_CHANGE,
        JUDGE_ACCURACY_FORGET,
        JUDGE_ACCURACY_RETAIN,
        FEATURE_COSINE,
        HOLE_COSINE,
        LPIPS,
        FID,
        KID,
        ORACLE_DISTANCE_FORGET,
        ORACLE_DISTANCE_FORGET_TRAIN,
        ORACLE_DISTANCE_RETAIN,
    ),
    tracks=(
        Track(
            name="suppression",
            components=(
                Component(
                    "suppression",
                    SUPPRESSION,
                    "goal",
                    "how far the error in forgotten pictures' holes went from the original's to that of Gaussian noise",
                    goal=1.0,
                ),
            ),
            gates=_HOLE_GATES,
            columns=_HOLE_COLUMNS,
        ),
        Track(
            name="indistinguishability",
            components=(
                Component(
                    "test error",
                    HOLE_ERROR_FORGET,
                    "alike",
                    "forgotten test pictures are filled as badly as by the oracle",
                ),
                Component(
                    "train error",
                    HOLE_ERROR_FORGET_TRAIN,
                    "alike",
                    "and so are the training pictures that were forgotten, which betray membership",
                ),
                Component(
                    "likeness",
                    ORACLE_DISTANCE_FORGET,
                    "distance",
                    "what is filled in is what the oracles fill in (mean squared difference in the hole)",
                ),
            ),
            gates=_HOLE_GATES,
            columns=(*_HOLE_COLUMNS, ORACLE_DISTANCE_FORGET),
        ),
    ),
)
