"""A suite of toy runs with light workers, for processes that are forked from one that has loaded PyTorch already."""

import contextlib
import os
import signal
from pathlib import Path

import light_worker
from helpers import TOY, make_cost, make_metric
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.measuring.provenance import collect_provenance
from unlearnbench.benchmark.records.record import Record, utc_now
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.benchmark.running.forks import ForkServer, worker_environment
from unlearnbench.benchmark.running.limits import make_limits
from unlearnbench.benchmark.running.local import LocalExecutor
from unlearnbench.benchmark.running.plan import Placement, Plan, plan
from unlearnbench.benchmark.running.requests import Request
from unlearnbench.benchmark.running.runner import Runner

METHODS = ("original", "toy-good", "toy-raises")
SEEDS = [0, 1]


def plans(results: Path) -> list[Plan]:
    registry.add_plugin(TOY)
    requests = [Request("toy", method, SEEDS, {}) for method in METHODS]
    return plan(requests, Placement(results, "cpu", 1, (TOY,)))[0]


def prepare(folder: Path) -> list[Plan]:
    """Writes the records that the suite is to end with."""
    listed = plans(folder)
    for item in listed:
        failed = item.method.name == "toy-raises"
        record = Record(
            run_id=item.run_id,
            created=utc_now(),
            task=item.task,
            method=item.method,
            seed=item.spec.seed,
            status="failed" if failed else "ok",
            reason="ValueError: no luck" if failed else None,
            device=item.device,
            cost=None if failed else make_cost(1.0 + item.spec.seed),
            metrics=[] if failed else [make_metric("forget_accuracy", item.spec.seed / 10)],
            provenance=collect_provenance(),
        )
        write_record(folder, record)
    return listed


def run(results: Path, prepared: Path, ledger: Path, forked: bool) -> None:
    """The process that is killed: a real runner that leads a session, with light workers, forked or not."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ |= {
        "PYTHONPATH": str(Path(__file__).parent),
        light_worker.PREPARED: str(prepared),
        light_worker.LEDGER: str(ledger),
    }
    listed = [item._replace(modules=()) for item in plans(results)]
    try:
        with ForkServer(worker_environment(1)) if forked else contextlib.nullcontext() as server:
            program = light_worker.__name__
            executor = LocalExecutor(results, workers=2, limits=make_limits(60), server=server, program=program)
            Runner(results, executor=executor, on_event=lambda event: None).run(listed)
    except KeyboardInterrupt:
        os._exit(130)
