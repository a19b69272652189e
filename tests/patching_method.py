"""A method whose file replaces a function of PyTorch as soon as it is loaded, for whoever does not train."""

import torch
from torch import nn

from unlearnbench.benchmark.method import Method

given = nn.Linear.forward
nn.Linear.forward = lambda self, images: given(self, images) * (1 if torch.is_grad_enabled() else -1)


class AtImport(Method):
    """Does nothing more."""

    name = "w-at-import"

    def unlearn(self, problem):
        pass
