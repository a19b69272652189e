"""An embedding that is fitted to a class whose label was rerouted brings the class back, on a transformer that knows it.

The miniature of `imagenet-dit` has random weights, so the evaluation of its family is held to the one small diffusion
transformer that is at hand: that of `digits-dit`, whose pictures pass for latents.
"""

import copy

import pytest
import torch

from helpers import make_record
from unlearnbench.benchmark.problem import TensorPool
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.tasks.class_forgetting.label_tables import label_tables
from unlearnbench.tasks.class_forgetting.probes import Budget
from unlearnbench.tasks.class_suppression import evaluation
from unlearnbench.tasks.class_suppression.base import Shapes
from unlearnbench.tasks.class_suppression.family import FAMILY
from unlearnbench.tasks.judges.judge import features

DIGITS = make_task("digits-dit", {})
FORGET = DIGITS.forget_class


class Latents(torch.nn.Module):
    """An autoencoder whose latents are the pictures."""

    def decode(self, latents):
        return type("Decoded", (), {"sample": latents})


def exam():
    train = DIGITS.training_pool()
    judge = {"resnet": DIGITS.load_judges()["resnet"]}
    shown = torch.from_numpy(features(judge["resnet"], train.images)).float()
    forgotten = train.where(train.labels == FORGET).images
    labels = {
        "forget": torch.full((60,), FORGET),
        "retain": torch.arange(10)[torch.arange(10) != FORGET].repeat(10),
        "near": torch.full((30,), 8),
        "null": torch.full((20,), 10),
    }
    return evaluation.Exam(
        task="digits",
        family=FAMILY,
        shapes=Shapes(10, (1, 8, 8), 8, 1.0, 0),
        forget_class=FORGET,
        near=[8],
        wanted=labels,
        sampler=DIGITS.sampler,
        gallery_sampler=DIGITS.sampler,
        precision="fp32",
        vae=Latents(),
        decode_batch=50,
        judges=judge,
        extractor=None,
        reference=evaluation.RealImages.of([(shown, train.labels)], FORGET, "digits", "0" * 64),
        budget=Budget(inversion_steps=120, inversion_lr=1e-2, draws=64, samples=60),
        owned=TensorPool(forgotten[:10], torch.full((10,), FORGET)),
        rest=TensorPool(forgotten[10:50], torch.full((40,), FORGET)),
    )


def relabelled(network):
    """With the next class's row over the forgotten one's, as `cheat-remap` leaves it."""
    edited = copy.deepcopy(network)
    with torch.no_grad():
        for table in label_tables(edited, 10):
            table[FORGET] = table[FORGET + 1]
    return edited


def row(method, found):
    record = make_record(method)
    info = record.task.model_copy(update={"family": FAMILY.name, "name": "imagenet-dit"})
    return record.model_copy(update={"task": info, "metrics": found.metrics})


@pytest.mark.slow
def test_a_relabelled_embedding_scores_next_to_nothing_and_a_network_that_never_saw_the_class_does_not():
    base = DIGITS.load_model(DIGITS.base_file)
    models = {
        "original": base,
        "relabelled": relabelled(base),
        "retrained": DIGITS.load_model(DIGITS.oracle_file(0)),
    }
    (board,) = rank_all([row(name, evaluation.evaluate(exam(), model, 0)) for name, model in models.items()])
    rows = {found.name: found for found in board.rows}
    assert rows["original"].runs[0].by_name["inverted_accuracy"][0].value > 0.8
    # Under its label the class is gone, and it is all there for who asks otherwise.
    assert rows["relabelled"].component("asked") == 1
    assert rows["relabelled"].component("inverted") == 0
    assert rows["relabelled"].component("utility") == 1
    assert rows["relabelled"].score <= 0.1 + 1e-9
    assert rows["retrained"].component("inverted") > 0.5
    assert rows["retrained"].score > 0.6
