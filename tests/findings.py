"""What the tests of docs/findings.md read of the committed boards."""

from helpers import ROOT

RESULTS = ROOT / "leaderboard" / "results"
IN_PAINTING, AS_RETRAINED = "digits-mae · suppression", "digits-mae · indistinguishability"
GENTLE, SEARCHED, STRONG = (f"li2024 (alpha={alpha} lr=0.001 noise=uniform steps=2000)" for alpha in (0.03, 0.06, 0.25))
PHOTOGRAPHS, PLACES = "tinyimagenet-mae", "miniplaces-mae"
ON_PHOTOGRAPHS, ON_PLACES = f"{PHOTOGRAPHS} · suppression", f"{PLACES} · suppression"


def row(board, name):
    (found,) = [row for row in board.rows if row.name == name]
    return found


def rounded(row):
    """Score and interval as the page says them."""
    return round(row.score, 2), round(row.interval.low, 2), round(row.interval.high, 2)


def values(row, name, digit=None):
    """A metric's values, one a run; of one digit if it is given."""
    return [
        next(metric.value for metric in run.record.metrics if metric.name == name)
        for run in row.runs
        if digit is None or run.record.task.request["forget_class"] == digit
    ]
