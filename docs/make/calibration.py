"""How few solver steps will do: ``python -m unlearnbench.docs.make.calibration TASK``.

Draws the same noise with several solvers and step counts and with the 1,000-step ancestral sampler of the papers, judges all
of them alike, and names the cheapest that agrees with it. Every row goes to ``docs/calibration.json`` as soon as it is there,
so that a stopped calibration goes on; ``docs/calibration.md`` is rendered from that file.

Example::

    python -m unlearnbench.docs.make.calibration digits-ddpm --out docs/calibration.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ...benchmark.errors import BenchmarkError
from ...benchmark.measuring.device import describe_device
from ...benchmark.measuring.provenance import collect_provenance
from ...benchmark.metrics import measures
from ...benchmark.metrics.measures import Measured
from ...benchmark.records.files import write_atomically
from ...benchmark.running.identity import make_task
from ...benchmark.seeds import derive_seed
from ...leaderboard.markdown import markdown_table
from ...tasks.class_forgetting.diffusion import TRAIN_TIMESTEPS
from ...tasks.class_forgetting.sampler import Sampler
from ...tasks.class_forgetting.task import ClassForgettingTask
from ...tasks.judges.judge import Judge, features, score

RESULTS = Path(__file__).parents[1] / "calibration.json"
RETAIN_SAMPLES, FORGET_SAMPLES = 504, 250
REFERENCE = ("ddpm", TRAIN_TIMESTEPS)
CANDIDATES = (
    *(("dpm", steps) for steps in (5, 10, 20, 30, 50)),
    *(("ddim", steps) for steps in (10, 20, 50)),
    ("ddpm", 100),
)
"""Solvers and step counts; the reference comes last because it takes most of the time."""

WHY_NOT = {
    "digits-ddpm": "It stays as it is: base model, oracles and edited models are all drawn with it, the shipped samples of the "
    "oracles and the committed records are, and what it costs in FID is in the reference rows as much as in a method's.",
}
"""Why a task draws otherwise than the finding says, by task."""

Row = dict[str, Any]
Calibration = dict[str, Any]


def calibrate(task: ClassForgettingTask, out: Path, device: torch.device) -> Calibration:
    """Measures every row that the file does not hold yet, and returns all of them.

    Args:
        task: Gives base model, judges and data; its own sampler gives the guidance.
        out: The file. What it holds of the same task, model, judge and settings is kept.
        device: Where to sample.
    """
    context = _context(task, device)
    found = read(out)
    kept = found.get(task.name, {})
    rows: list[Row] = kept["rows"] if kept.get("context") == context else []
    judge = next(iter(task.load_judges().values()))
    pool = task.training_pool()
    retained = pool.where(pool.labels != task.forget_class)
    real = features(judge, retained.images)
    model = task.load_model(task.base_file).to(device)
    # On a CPU other processes share the cores; the samples come back from a GPU, so that its work is done by then.
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    samplers = (*CANDIDATES, REFERENCE)
    for solver, steps in samplers:
        if find(rows, solver, steps) is not None:
            continue
        sampler = dataclasses.replace(task.sampler, solver=cast(Any, solver), steps=steps)
        start = clock()
        drawn = _draw(task, sampler, model)
        seconds = clock() - start
        numbers = _numbers(task, judge, drawn, real)
        row = {"solver": solver, "steps": steps, "seconds": round(seconds, 1), **numbers}
        rows = sorted([*rows, row], key=lambda row: samplers.index((row["solver"], row["steps"])))
        found[task.name] = {"context": context, "rows": rows}
        write_atomically(out, (json.dumps(dict(sorted(found.items())), indent=1) + "\n").encode())
        sys.stdout.write(f"{task.name} {json.dumps(row)}\n")
        sys.stdout.flush()
    return found[task.name]


def _context(task: ClassForgettingTask, device: torch.device) -> dict[str, Any]:
    """What the rows depend on."""
    judge = next(iter(task.load_judges()))
    sampler = task.sampler
    return {
        "config": task.model_dump(mode="json"),
        "model_sha256": task.assets.entry(task.base_file).sha256,
        "judge": judge,
        "judge_sha256": task.load_judges()[judge].sha256,
        "data_sha256": task.data_sha256(),
        "default": {"solver": sampler.solver, "steps": sampler.steps},
        "guidance": sampler.guidance,
        "retain_samples": RETAIN_SAMPLES,
        "forget_samples": FORGET_SAMPLES,
        "device": describe_device(device, torch.get_num_threads()).group,
        "torch": collect_provenance().packages["torch"],
    }


def _draw(task: ClassForgettingTask, sampler: Sampler, model: torch.nn.Module) -> dict[str, Tensor]:
    """Draws both sets; the noise is the same for every sampler."""
    classes = torch.tensor(task.retain_classes())
    labels = {
        "forget": torch.full((FORGET_SAMPLES,), task.forget_class),
        "retain": classes.repeat(RETAIN_SAMPLES // len(classes) + 1)[:RETAIN_SAMPLES],
    }
    return {
        name: sampler.sample(
            model, wanted, task.num_classes, task.image_shape, derive_seed(task.name, "calibration", name)
        )
        for name, wanted in labels.items()
    }


def _numbers(task: ClassForgettingTask, judge: Judge, drawn: dict[str, Tensor], real: Any) -> dict[str, Any]:
    forget = score(judge, drawn["forget"]).labels == task.forget_class
    measured = {
        "fid_retain": measures.fid(score(judge, drawn["retain"]).features, real),
        "forget_accuracy": measures.proportion(forget),
    }
    return {name: _rounded(value) for name, value in measured.items()}


def _rounded(measured: Measured) -> dict[str, float]:
    return {
        "value": round(measured.value, 4),
        "low": round(measured.interval.low, 4),
        "high": round(measured.interval.high, 4),
    }


# What the rows say.


def agree(one: dict[str, float], other: dict[str, float]) -> bool:
    """Returns whether the 95 % interval of two numbers' difference holds zero.

    The interval is made of the two numbers' own (Newcombe, 1998, for shares; Zou and Donner, 2008, for anything): its end
    on the side of zero lies the root of the summed squares of the facing half widths away from the difference.
    """
    high, low = (one, other) if one["value"] >= other["value"] else (other, one)
    reach = math.hypot(high["value"] - high["low"], low["high"] - low["value"])
    return high["value"] - low["value"] <= reach


def find(rows: list[Row], solver: str, steps: int) -> Row | None:
    """Returns a sampler's row."""
    return next((row for row in rows if (row["solver"], row["steps"]) == (solver, steps)), None)


def agreeing(rows: list[Row]) -> list[Row]:
    """Returns the rows that agree with the reference in both numbers, the cheapest first: fewest network passes."""
    reference = find(rows, *REFERENCE)
    if reference is None:
        return []
    within = [
        row
        for row in rows
        if row is not reference and all(agree(row[name], reference[name]) for name in ("fid_retain", "forget_accuracy"))
    ]
    return sorted(within, key=lambda row: (row["steps"], row["fid_retain"]["value"]))


def finding(calibration: Calibration) -> str:
    """Returns what follows for the task's own sampler, in one or two sentences."""
    default = calibration["context"]["default"]
    own = f"{default['solver']} with {default['steps']} steps"
    within = agreeing(calibration["rows"])
    if not within:
        return f"None of the samplers agrees with the reference; the task draws with {own}."
    cheapest = within[0]
    best = f"{cheapest['solver']} with {cheapest['steps']} steps"
    if best == own:
        return f"The cheapest that agrees is {best}, which is what the task draws with."
    if find(within, default["solver"], default["steps"]) is not None:
        return f"The cheapest that agrees is {best}. The task draws with {own}, which agrees, too."
    return f"The cheapest that agrees is {best}. The task draws with {own}, which does not agree."


_INTRODUCTION = """# Calibration of the samplers

Made from `calibration.json` by `python -m unlearnbench.docs.make.calibration`; nothing here is typed by hand.
Every sampler draws from the base model, from the same noise, and is judged like the samples of a run. A sampler *agrees* if the
95 % interval of its difference to ancestral sampling with 1,000 steps holds zero, for both numbers. The FID is over a judge's
features, to the real training images of the retained classes; its interval covers the sampling noise alone.
"""


def render(calibrations: dict[str, Calibration]) -> str:
    """Returns the page of all calibrated tasks."""
    return "\n".join([_INTRODUCTION, *(_section(name, calibrations[name]) for name in sorted(calibrations))])


def _section(name: str, calibration: Calibration) -> str:
    context, rows = calibration["context"], calibration["rows"]
    reference, within = find(rows, *REFERENCE), agreeing(rows)
    default = context["default"]
    chosen = bool(within) and within[0] is find(rows, default["solver"], default["steps"])
    clock = "seconds" if context["device"].startswith("cuda") else "CPU seconds"
    verdicts = {id(row): "yes" if row in within else "no" for row in rows} | {id(reference): "reference"}
    lines = [
        f"## `{name}`",
        "",
        " ".join(filter(None, [finding(calibration), "" if chosen else WHY_NOT.get(name)])),
        "",
        f"{context['retain_samples']} retained and {context['forget_samples']} forgotten samples, guidance "
        f"{context['guidance']:g}, judge `{context['judge']}`; {context['device']}, PyTorch {context['torch']}.",
        "",
        markdown_table(
            ("solver", "steps", "FID of retained samples", "95 %", "forget accuracy", "95 %", clock, "agrees"),
            ([*_measured(row), verdicts[id(row)]] for row in rows),
        ),
        "",
    ]
    return "\n".join(lines)


def _measured(row: Row) -> list[str]:
    cells = [row["solver"], f"{row['steps']:,}"]
    for metric in ("fid_retain", "forget_accuracy"):
        number = row[metric]
        cells += [f"{number['value']:.3f}", f"{number['low']:.3f} to {number['high']:.3f}"]
    return [*cells, f"{row['seconds']:,}"]


def read(path: Path = RESULTS) -> dict[str, Calibration]:
    """Returns the calibrations on file, by task.

    Raises:
        BenchmarkError: The file is broken.
    """
    try:
        return cast(dict[str, Calibration], json.loads(path.read_text())) if path.is_file() else {}
    except ValueError:
        raise BenchmarkError(f"{path} is not a calibration; delete it and calibrate again.") from None


def main(arguments: list[str]) -> None:
    """Calibrates a task and renders the page beside the file."""
    parser = argparse.ArgumentParser(prog="python -m unlearnbench.docs.make.calibration")
    parser.add_argument("task", nargs="?", help="a class-forgetting task; without one the page is rendered anew")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the JSON file; the page goes beside it")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    try:
        if options.task:
            torch.set_num_threads(1)
            calibrate(_task(options.task), options.out, torch.device(options.device))
        write_atomically(options.out.with_suffix(".md"), render(read(options.out)).encode())
    except BenchmarkError as error:
        raise SystemExit(str(error)) from None


def _task(name: str) -> ClassForgettingTask:
    # Oracles have no part in it.
    task = make_task(name, {}, short=True)
    if not isinstance(task, ClassForgettingTask):
        raise BenchmarkError(
            f"The task '{name}' does not draw from a diffusion model; calibrate a class-forgetting task."
        )
    lacking = task.missing()
    if lacking:
        raise BenchmarkError(" ".join(lacking))
    return task


if __name__ == "__main__":
    main(sys.argv[1:])
