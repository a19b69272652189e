"""What a GPU makes of the suite: ``python -m unlearnbench.docs.make.gpu`` measures on the one at hand.

Each measurement goes to ``docs/gpu.json`` under the chip's name as soon as it is there, so that the next quarter of an hour
goes on from there; ``docs/gpu.md`` is rendered from that file. Data and weights are random: what is measured is speed.
``--miniature`` rehearses everything on a CPU with networks of a few thousand weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...benchmark.method import Method
from ...benchmark.numerics import MEASURED
from ...benchmark.problem import TensorPool
from ...benchmark.records.files import write_atomically
from ...benchmark.running.identity import make_method
from ...leaderboard.markdown import markdown_table
from ...tasks.class_forgetting import cifar10_networks, training
from ...tasks.class_forgetting.cifar10_networks import Preset
from ...tasks.class_forgetting.problem import ClassForgettingProblem
from ...tasks.class_forgetting.sampler import Sampler
from ...tasks.class_suppression.problem import LatentDiTProblem, Precision
from ...tasks.data.pools import BytePool
from ...tasks.training.checkpoint import Checkpoint
from ...tasks.training.recipe import TrainingRecipe
from ...tasks.training.resident import Way

RESULTS = Path(__file__).parents[1] / "gpu.json"
CLASSES = 10
METHODS = ("sfron", "salun")
WAYS = {
    "fp32 with TF32 convolutions, step by step": Way(bf16=False),
    "bf16, step by step": Way(),
    "bf16, one CUDA graph": Way(captured=True),
    "bf16, compiled, one CUDA graph": Way(True, True),
}
_NOT_YET = "No GPU has been measured yet: `python -m unlearnbench.docs.make.gpu` does it on the one at hand."

Found = dict[str, Any]
Chips = dict[str, dict[str, Found]]


class Size(NamedTuple):
    """How much is measured."""

    presets: dict[str, tuple[Preset, int]]
    """U-Nets with their batch sizes."""
    transformer: dict[str, Any]
    """The DiT's configuration."""
    latents: tuple[int, int]
    """Its batch size, and the samples drawn at a time."""
    steps: int
    """Of training, timed after as many that are not."""
    unlearning: tuple[int, int]
    """Steps of a method: what the longer run takes more is its steps, the rest what comes before them."""
    samples: int


REAL = Size(
    {"tiny": (cifar10_networks.PRESETS["tiny"], 512), "paper": (cifar10_networks.PRESETS["paper"], 128)},
    {"num_layers": 28, "num_attention_heads": 16, "attention_head_dim": 72, "sample_size": 32},
    (32, 64),
    100,
    (2, 12),
    1024,
)
MINIATURE = Size(
    {"tiny": (cifar10_networks.PRESETS["tiny"]._replace(channels=(8, 8)), 8)},
    {"num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 8, "sample_size": 8},
    (4, 4),
    3,
    (1, 3),
    8,
)


class Bench:
    """Measures on one device.

    Args:
        device: Where.
        size: How much.
    """

    def __init__(self, device: torch.device, size: Size) -> None:
        self.device = device
        self.size = size
        self.on_gpu = device.type == "cuda"

    @property
    def chip(self) -> str:
        """What the page calls the device."""
        return torch.cuda.get_device_name(self.device) if self.on_gpu else "CPU (rehearsal)"

    def measurements(self) -> Iterator[tuple[str, Callable[[], Found]]]:
        """Yields what can be measured, in order, with its name."""
        yield "matrix products", self._products
        for name, (preset, batch) in self.size.presets.items():
            for words, way in WAYS.items() if self.on_gpu else [("fp32", Way())]:
                yield f"training {name}, {words}", partial(self._training, preset, batch, way)
            for words, sampler in self._samplers().items():
                yield f"sampling {name}, {words}", partial(self._sampling, _unet(preset), sampler, (3, 32, 32))
            for method in METHODS:
                problem = partial(self._unet_problem, preset=preset, batch=batch)
                yield f"{method} on {name}, fp32", partial(self._method, method, problem)
        precisions: tuple[Precision, ...] = ("fp32", "bf16")
        for precision in precisions:
            yield f"sampling DiT-XL/2, {precision}", partial(self._latents, precision)
            for method in METHODS:
                on_latents = partial(self._latent_problem, precision=precision)
                yield f"{method} on DiT-XL/2, {precision}", partial(self._method, method, on_latents)

    def _samplers(self) -> dict[str, Sampler]:
        plain = Sampler("dpm", 20, 1.5, batch_size=256)
        if not self.on_gpu:
            return {"fp32": plain}
        relaxed = replace(plain, relaxed=True)
        return {"fp32": plain, "TF32": relaxed, "bf16, compiled": relaxed.fast()}

    def _products(self) -> Found:
        """What the chip reaches on products of large matrices: the peak that shares are of."""
        side = 8192 if self.on_gpu else 256
        found = {}
        for words, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            left = torch.randn(side, side, device=self.device, dtype=kind)
            seconds = self._seconds(partial(torch.mm, left, left), 10)
            found[f"TFLOP/s {words}"] = 2 * side**3 / seconds / 1e12
        return found

    def _training(self, preset: Preset, batch: int, way: Way) -> Found:
        """The suite's own loop on random bytes, after as many steps as are timed."""
        steps, at = self.size.steps, {}

        def progress(step: int, _: int) -> None:
            if step in (steps, 2 * steps):
                self._wait()
                at[step] = time.perf_counter()

        with tempfile.TemporaryDirectory() as folder:
            training.train(
                _unet(preset),
                _bytes(4096 if self.on_gpu else 64),
                CLASSES,
                TrainingRecipe(2 * steps, batch, 1e-4),
                0,
                progress,
                Checkpoint(Path(folder) / "state", {}),
                device=self.device,
                ways=[way],
            )
        rate = steps * batch / (at[2 * steps] - at[steps])
        # Backwards takes twice as much as forwards.
        work = 3 * _flops(_unet(preset), (3, 32, 32)) * rate / 1e12
        return {"images/s": rate, "steps/s": rate / batch, "TFLOP/s": work, "memory": self._peak()}

    def _sampling(self, network: nn.Module, sampler: Sampler, shape: tuple[int, ...]) -> Found:
        network.to(self.device).eval()
        labels = torch.arange(self.size.samples) % CLASSES
        seconds = self._seconds(lambda: list(sampler.batches(network, labels, CLASSES, shape, 0)), 1)
        rate = self.size.samples / seconds
        # Guidance passes every image twice.
        work = 2 * sampler.steps * _flops(network, shape) * rate / 1e12
        return {"images/s": rate, "steps": sampler.steps, "TFLOP/s": work, "memory": self._peak()}

    def _latents(self, precision: Precision) -> Found:
        sampler = Sampler("dpm", 20, 1.5, batch_size=self.size.latents[1], bounded=False)
        sampler = replace(sampler, relaxed=True, bf16=True) if precision == "bf16" and self.on_gpu else sampler
        return self._sampling(_Predictor(self._transformer()), sampler, self._latent_shape)

    def _method(self, name: str, problem: Callable[[Method], ClassForgettingProblem]) -> Found:
        """A method's steps and what comes before them: masks, Fisher information."""
        seconds, peak = [], None
        for steps in self.size.unlearning:
            method = make_method(name, {"steps": steps})
            found = problem(method)
            found.warm_up()
            seconds.append(self._seconds(partial(method.unlearn, found), 1, warm=False))
            peak = self._peak()
            del found
        short, long = self.size.unlearning
        step = (seconds[1] - seconds[0]) / (long - short)
        # Where more steps took no longer, their time is lost in what the machine does besides.
        told = {"s/step": step, "s before": max(0.0, seconds[0] - short * step)} if step > 0 else {}
        return told | {"memory": peak}

    def _unet_problem(self, method: Method, preset: Preset, batch: int) -> ClassForgettingProblem:
        pools = [_pool(512 if self.on_gpu else 16, (3, 32, 32), labels) for labels in ((0, 1), (1, CLASSES))]
        sampler = Sampler("dpm", 20, 1.5)
        return ClassForgettingProblem(
            _unet(preset).to(self.device), *pools, sampler=sampler, **self._given(method, batch)
        )

    def _latent_problem(self, method: Method, precision: Precision) -> LatentDiTProblem:
        pools = [_pool(128 if self.on_gpu else 16, self._latent_shape, labels) for labels in ((0, 1), (1, CLASSES))]
        return LatentDiTProblem(
            self._transformer().to(self.device),
            *pools,
            sampler=Sampler("dpm", 20, 1.5, bounded=False),
            variance_loss=True,
            precision=precision if self.on_gpu else "fp32",
            **self._given(method, self.size.latents[0]),
        )

    def _given(self, method: Method, batch: int) -> dict[str, Any]:
        return {
            "batch_size": batch,
            "forget_classes": (0,),
            "num_classes": CLASSES,
            "granted": method.needs,
            "seed": 0,
            "device": self.device,
        }

    @property
    def _latent_shape(self) -> tuple[int, int, int]:
        side = self.size.transformer["sample_size"]
        return (4, side, side)

    def _transformer(self) -> nn.Module:
        from diffusers import DiTTransformer2DModel

        torch.manual_seed(0)
        network: nn.Module = DiTTransformer2DModel(
            **self.size.transformer, in_channels=4, out_channels=8, patch_size=2, num_embeds_ada_norm=CLASSES
        )
        return network

    def _seconds(self, call: Callable[[], Any], times: int, *, warm: bool = True) -> float:
        if warm:
            call()
        self._wait()
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        start = time.perf_counter()
        for _ in range(times):
            call()
        self._wait()
        return (time.perf_counter() - start) / times

    def _wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def _peak(self) -> float | None:
        return torch.cuda.max_memory_allocated(self.device) / 1e9 if self.on_gpu else None


class _Predictor(nn.Module):
    """A transformer that learns a variance, as a predictor of noise alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: Tensor, times: Tensor, class_labels: Tensor, **options: Any) -> tuple[Tensor]:
        """Returns the noise prediction, ``(B, C, H, W)``."""
        found: Tensor = self.network(noisy, times, class_labels=class_labels, return_dict=False)[0]
        return (found[:, : noisy.shape[1]],)


def _unet(preset: Preset) -> nn.Module:
    torch.manual_seed(0)
    return cifar10_networks.unet(preset)


def _flops(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Of one image forwards, in products and in sums."""
    hollow = copy.deepcopy(network).to("meta")
    image, label = torch.empty(1, *shape, device="meta"), torch.empty(1, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter:
        hollow(image, torch.empty(1, device="meta"), class_labels=label)
    return int(counter.get_total_flops())


def _bytes(count: int) -> BytePool:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return BytePool(images, torch.arange(count) % CLASSES, mirrored=True)


def _pool(count: int, shape: tuple[int, ...], labels: tuple[int, int]) -> TensorPool:
    generator = torch.Generator().manual_seed(labels[0])
    return TensorPool(
        torch.randn(count, *shape, generator=generator), torch.arange(count) % (labels[1] - labels[0]) + labels[0]
    )


def measure(bench: Bench, path: Path, minutes: float) -> None:
    """Measures what the file does not hold yet, as long as there is time.

    Args:
        bench: Where.
        path: The JSON file.
        minutes: After which nothing new is begun.
    """
    begun = time.monotonic()
    chips: Chips = json.loads(path.read_text()) if path.is_file() else {}
    known = chips.setdefault(f"{bench.chip}, PyTorch {torch.__version__}", {})
    MEASURED.apply()
    for name, call in bench.measurements():
        if name in known or time.monotonic() - begun > 60 * minutes:
            continue
        try:
            known[name] = call()
        # What does not fit or does not compile on a chip is a finding, too.
        except RuntimeError as error:
            known[name] = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}
        if bench.on_gpu:
            torch.cuda.empty_cache()
        write_atomically(path, (json.dumps(chips, indent=1) + "\n").encode())
        sys.stdout.write(f"{name}: {_numbers(known[name])}\n")
        sys.stdout.flush()


def page(path: Path = RESULTS) -> str:
    """Returns the measurements as Markdown."""
    chips: Chips = json.loads(path.read_text()) if path.is_file() else {}
    lines = [
        "# On a GPU",
        "",
        "Speed of training, sampling and methods with random weights and data; made by `docs/make/gpu.py`. "
        "Methods run in the numerics of all runs: deterministic kernels, full single precision.",
        "",
        *([] if chips else [_NOT_YET, ""]),
    ]
    for chip, found in chips.items():
        rows = [[name, _numbers(numbers)] for name, numbers in found.items()]
        lines += [f"## {chip}", "", markdown_table(["what", "measured"], rows), ""]
    return "\n".join(lines)


def _numbers(found: Found) -> str:
    if "failed" in found:
        return f"failed: {found['failed']}"
    known = {key: value for key, value in found.items() if value is not None}
    told = ", ".join(f"{'GB' if key == 'memory' else key} {value:.4g}" for key, value in known.items())
    return told or "too short to be told from noise"


def main() -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--miniature", action="store_true")
    asked = parser.parse_args()
    device = torch.device("cpu" if asked.miniature else "cuda")
    measure(Bench(device, MINIATURE if asked.miniature else REAL), asked.out, asked.minutes)
    asked.out.with_suffix(".md").write_text(page(asked.out))


if __name__ == "__main__":
    main()
