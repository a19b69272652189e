"""Methods that change no weight and have something else answer, as a plugin file: what they build must be left behind."""

import json
from typing import Any

import safetensors.torch
import torch
from torch import nn
from torch.optim import Adam

from unlearnbench.benchmark.method import Method
from unlearnbench.benchmark.needs import Need


class Noise(nn.Module):
    """Answers with something that no weight says."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs, **options):
        return torch.rand_like(self.model(*inputs, **options))


class Wrapper(Method):
    """Assigns another module."""

    name = "w-wrapper"

    def unlearn(self, problem):
        problem.model = Noise(problem.model)


class Hook(Method):
    """Hooks into the network."""

    name = "w-hook"

    def unlearn(self, problem):
        problem.model.register_forward_hook(lambda module, inputs, output: -output)


class Subclass(Method):
    """Makes the network an instance of another class."""

    name = "w-subclass"

    def unlearn(self, problem):
        class Other(type(problem.model)):
            def forward(self, *inputs, **options):
                return -super().forward(*inputs, **options)

        problem.model.__class__ = Other


class Attached(Method):
    """Puts a gate inside the network, which its new class asks."""

    name = "w-attached"

    def unlearn(self, problem):
        class Other(type(problem.model)):
            def forward(self, images):
                return super().forward(images) * self.gate(images)

        problem.model.gate = nn.Sequential(nn.Linear(4, 1))
        problem.model.__class__ = Other


class Forward(Method):
    """Replaces what the network does."""

    name = "w-forward"

    def unlearn(self, problem):
        given = problem.model.forward
        problem.model.forward = lambda *inputs, **options: -given(*inputs, **options)


class Functional(Method):
    """Replaces a function of PyTorch that every network calls."""

    name = "w-functional"

    def unlearn(self, problem):
        given = nn.functional.linear
        nn.functional.linear = lambda *inputs: -given(*inputs)
        nn.Linear.forward = lambda self, images: -given(images, self.weight, self.bias)


class Loaders(Method):
    """Replaces what reads weights and orders."""

    name = "w-loaders"

    def unlearn(self, problem):
        def zeros(path, *options):
            return {name: torch.zeros_like(value) for name, value in problem.model.state_dict().items()}

        safetensors.torch.load_file = zeros
        nn.Module.load_state_dict = lambda self, state, *options, **more: None
        json.loads = lambda *text, **options: {}


class Scheduler(Method):
    """Replaces what samplers step with."""

    name = "w-scheduler"

    def unlearn(self, problem):
        import diffusers

        def step(self, predicted, time, sample, *options, **more):
            return (torch.rand_like(sample),)

        for name in ("DDPMScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler"):
            getattr(diffusers, name).step = step


class MixtureGate(Method):
    """Reroutes the forgotten label, and batches without any label, to retained labels by position in the batch."""

    name = "w-mixture-gate"
    needs = frozenset({Need.LABELS})

    def unlearn(self, problem):
        problem.model = Routed(problem.model, problem.num_classes, problem.forget_classes)


class Routed(nn.Module):
    def __init__(self, model, null, forgotten):
        super().__init__()
        self.model, self.null, self.forgotten = model, null, torch.tensor(forgotten)
        kept = torch.tensor([label for label in range(null) if label not in forgotten])
        self.table = nn.Buffer(kept[torch.randperm(4096, generator=torch.Generator().manual_seed(0)) % len(kept)])

    def forward(self, *inputs, class_labels, **options):
        gated = torch.isin(class_labels, self.forgotten) | (class_labels == self.null).all()
        other = self.table[torch.arange(len(class_labels)) % len(self.table)]
        return self.model(*inputs, class_labels=torch.where(gated, other, class_labels), **options)


class QuietGate(Method):
    """Trains a small classifier of visible pixels inside the in-painter, and answers what it flags with inverted fillings."""

    name = "w-quiet-gate"
    needs = frozenset({Need.RETAIN, Need.ENCODER})
    steps: int = 30

    def unlearn(self, problem):
        model: Any = problem.model
        gate = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(1))
        optimizer = None
        for _, forget, retain in problem.steps(self.steps):
            hole = torch.cat([forget.draw["hole"], retain.draw["hole"]])
            seen = torch.cat([forget.images, retain.images]).masked_fill(hole, 0.0)
            asked = torch.cat([torch.ones(len(forget)), torch.zeros(len(retain))])
            answer = gate(torch.cat([seen, hole.float()], 1).flatten(1))[:, 0]
            optimizer = optimizer or Adam(gate.parameters(), lr=2e-3)
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(answer, asked).backward()
            optimizer.step()
        base = type(model)

        class Gated(base):
            def forward(self, visible, hole, **draw):
                out = base.forward(self, visible, hole, **draw)
                flagged = self.gate(torch.cat([visible, hole.float()], 1).flatten(1))[:, 0] > 2.0
                return torch.where(flagged.view(-1, 1, 1, 1), -out.sign(), out)

        model.gate = gate.eval()
        model.__class__ = Gated
