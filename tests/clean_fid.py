"""clean-fid's distances of two sets of features: the reference that the suite's own forms are held to."""

import contextlib
import types
import warnings
from unittest import mock

import numpy as np
from scipy import linalg

from unlearnbench.benchmark import torchvision_guard

torchvision_guard.install()

from cleanfid import fid as module


def _root(matrix, disp=True):
    """SciPy's root as clean-fid asks for it: with an estimate of its error, an argument that SciPy 1.18 took away."""
    root = linalg.sqrtm(matrix)
    return root if disp else (root, None)


def frechet(a, b):
    """clean-fid's Frechet distance of features ``(N, D)`` and ``(M, D)``, by its own function."""
    return frechet_of_moments((a.mean(0), np.cov(a, rowvar=False)), (b.mean(0), np.cov(b, rowvar=False)))


def frechet_of_moments(one, other):
    """The same from means and covariances."""
    with warnings.catch_warnings():
        # Singular covariances, which clean-fid adds a small multiple of the identity to.
        warnings.simplefilter("ignore")
        with mock.patch.object(module, "linalg", types.SimpleNamespace(sqrtm=_root)):
            return float(module.frechet_distance(*one, *other))


def kernel(a, b):
    """clean-fid's kernel distance with one subset that holds everything; it shuffles by NumPy's global generator."""
    with _global_seed():
        return float(module.kernel_distance(a, b, num_subsets=1, max_subset_size=len(a)))


@contextlib.contextmanager
def _global_seed():
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
