"""The task `imagenet-dit` on a miniature of the hub's layouts: a pipeline, parquet files and judges that the tests make."""

import dataclasses
import json
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

import unlearnbench
from helpers import TINY_DINOV2
from tiny_imagenet import (  # noqa: F401 - fixtures
    CLASSES,
    CPU,
    miniature,
    prepared,
    save_judge,
    save_pipeline,
    task,
)
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.metrics import measures
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.records.record import parse_record
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.running.reference import aside
from unlearnbench.benchmark.running.weights import check_finite
from unlearnbench.tasks.class_forgetting import diffusion
from unlearnbench.tasks.class_forgetting.probes import Attacker, Budget, Draws
from unlearnbench.tasks.class_suppression import base, evaluation
from unlearnbench.tasks.class_suppression.problem import in_precision
from unlearnbench.tasks.class_suppression.variance import variance_bound
from unlearnbench.tasks.data import imagenet


@pytest.mark.slow
def test_a_user_prepares_runs_and_reads_the_board(miniature, tmp_path, monkeypatch):
    """Each run in a process of its own, as the command line makes it."""
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path / "assets"))
    told = []
    unlearnbench.prepare("imagenet-dit", settings=miniature, progress=lambda *event: told.append(event))
    assert told == [(f"{split} images", file, 2) for split in ("train", "validation") for file in range(2)]
    suite = tmp_path / "mini.toml"
    set_task = ", ".join(f"{key} = {json.dumps(value)}" for key, value in miniature.items())
    suite.write_text(
        'description = "A miniature."\n[[runs]]\ntasks = ["imagenet-dit"]\nmethods = ["original", "sfron", "oracle"]\n'
        f"seeds = [0]\n[runs.settings]\nimagenet-dit = {{ {set_task} }}\nsfron = {{ steps = 2 }}\n"
    )
    records, refused = unlearnbench.suite(str(suite), results=tmp_path / "results", workers=1, device="cpu")
    assert [(record.method.name, record.status) for record in records] == [("original", "ok"), ("sfron", "ok")]
    assert [refusal.reason for refusal in refused] == [
        "The method 'oracle' needs the oracle, which the task 'imagenet-dit' does not have."
    ]
    board = unlearnbench.board([tmp_path / "results"], out=tmp_path / "site", committed=False)
    assert [(ranking.task, ranking.note) for ranking in board.rankings] == [("imagenet-dit", None)]
    (path,) = (tmp_path / "results" / "imagenet-dit" / "sfron").glob("*.json")
    assert len(path.read_bytes()) < 2**20
    record = parse_record(path.read_bytes(), str(path))
    assert record.cost.steps == 2
    assert record.gallery.rows[:3] == ["7 (forgotten)", "6 (near)", "8 (near)"]
    found = {(metric.name, metric.judge): metric for metric in record.metrics}
    assert {judge for name, judge in found if name == "forget_accuracy"} == {"test-resnet", "test-efficientnet"}
    assert "centre crop 160" in found["fid_retain", "test-resnet"].identity.protocol
    assert "guidance 1.5, uint8, fp32" in found["fid_retain", "test-resnet"].identity.protocol
    assert found["forget_accuracy", "test-resnet"].n == 20
    inverted = found["inverted_accuracy", "test-efficientnet"]
    assert inverted.n == 20
    assert "a fresh embedding fitted for 300 steps of 16 draws of 6 latents" in inverted.identity.protocol
    page = (tmp_path / "site" / "rules.html").read_text()
    assert "class-suppression" in page
    assert "No oracle on this track" in page


@pytest.mark.slow
def test_distances_in_an_extractors_features_carry_its_identity(
    task, miniature, dinov2_file, tiny_dinov2, tmp_path, monkeypatch
):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    other = make_task("imagenet-dit", miniature | {"distances": "dinov2-small"})
    with pytest.raises(BenchmarkError, match="The weights of the features 'dinov2-small' could not be fetched"):
        other.prepare(lambda what, done, total: None)
    (tmp_path / "features").mkdir()
    shutil.copy(dinov2_file, tmp_path / "features")
    told = []
    other.prepare(lambda what, done, total: told.append(what))
    assert set(told) == {"validation images"}
    assert other.missing() == []
    assert other.sha256() != task.sha256()
    model = other.network()
    found = {(m.name, m.judge): m.identity for m in other.evaluate(model, 0, CPU).metrics}
    for name in ("fid_retain", "kid_retain", "coverage", "off_manifold"):
        assert found[name, "dinov2-small"].weights_sha256 == file_sha256(dinov2_file)
        assert "; features dinov2-small (vit_small_patch14_dinov2" in found[name, "dinov2-small"].protocol
        assert (name, "test-resnet") not in found
    assert ("forget_accuracy", "dinov2-small") not in found
    weights = tmp_path / "features" / "tiny.safetensors"
    weights.unlink()
    (lacking,) = other.missing()
    assert lacking.startswith("The features 'dinov2-small' lack their weights; prepare the task: be online, or put")
    save_judge(weights, "vit_small_patch14_dinov2", 0, **TINY_DINOV2)
    weights.with_name("tiny.safetensors.sha256").unlink()
    with pytest.raises(BenchmarkError, match="are not those that the task was prepared with"):
        other.evaluate(model, 0, CPU)


def test_features_of_an_evaluation_are_used_and_let_go_batch_by_batch(task, monkeypatch):
    task = make_task("imagenet-dit", task.model_dump() | {"sample_batch": 5})
    alive, drawn, look = [], [], evaluation.look

    def watched(*arguments):
        assert sum(reference() is not None for reference in alive) <= 1
        found = look(*arguments)
        alive.append(weakref.ref(found.features))
        drawn.append(found.features.copy())
        return found

    monkeypatch.setattr(evaluation, "look", watched)
    found = {(metric.name, metric.judge): metric for metric in task.evaluate(task.network(), 0, CPU).metrics}
    counts = [len(labels) for labels in task.wanted_labels().values()]
    forgotten, retained = np.split(np.concatenate(drawn), np.cumsum(counts))[:2]
    real = [task.assets.load(name) for name in task._prepared().reference.files]
    features, labels = (torch.cat([part[key] for part in real]) for key in ("features", "labels"))
    expected = {
        "fid_retain": measures.fid(retained.astype(float), features[labels != 7].double().numpy()).value,
        "off_manifold": measures.Manifold(features.numpy()).share_outside(forgotten).value,
    }
    for name, value in expected.items():
        assert found[name, "test-resnet"].value == pytest.approx(value, rel=1e-4)
    assert found["fid_retain", "test-resnet"].n == counts[1]


def test_an_attackers_budget_and_what_it_reached_stand_in_the_record(task):
    """On a network that knows nothing of its classes, an embedding can still be fitted: the loss falls."""
    found = {metric.name: metric for metric in task.evaluate(task.network(), 0, CPU).metrics}
    assert [step for step, _ in found["inverted_loss"].curve] == [0, 75, 150, 225, 300]
    assert found["inverted_loss"].value == min(loss for _, loss in found["inverted_loss"].curve)
    assert found["inverted_loss"].value < found["inverted_loss"].curve[0][1]
    assert found["inverted_accuracy"].n == task.inverted_samples
    assert 0 <= found["fid_retain_floor"].value < found["fid_retain"].value
    assert task.evaluation_protocol()["inversion"]["inversion_steps"] == 300


def test_no_method_sees_the_latents_that_the_attacker_owns(task):
    exam, problem = task.exam(CPU), task.problem(make_method("sfron", {}), 0, CPU)
    assert (len(exam.owned), len(exam.rest)) == (6, 6)  # half of the twelve that are kept
    seen = torch.cat([batch.images for batch in problem.epoch("forget")])
    assert len(seen) == 6
    assert torch.equal(seen, exam.rest.images)
    assert not (exam.owned.images[:, None] == seen).flatten(2).all(2).any()


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"gradient_checkpointing": True}])
def test_the_attack_works_in_the_tasks_precision_and_memory(task, settings):
    plain = reached(task)
    saving = reached(make_task("imagenet-dit", task.model_dump() | settings))
    assert saving == pytest.approx(plain, rel=0.02 if "precision" in settings else 1e-5)
    assert saving != plain or "precision" not in settings


def reached(task):
    """The loss that an attack of three steps leaves."""
    exam = dataclasses.replace(task.exam(CPU), budget=Budget(batch=4, inversion_steps=3, draws=8))
    network = in_precision(task.network(), exam.precision)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fixed = Draws.of(exam.rest, 8, 0, CPU)
    attacker = Attacker(exam.budget, exam.forget_class, exam.shapes.num_classes, exam.owned, None, 0, CPU, passed=3)
    found = attacker.invert(network, fixed)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    changed = {name for name, value in found.end.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.rpartition("class_embedder.")[2] for name in changed} == {"embedding_table.weight"}
    return float(found.best.mean())


def test_the_sampler_draws_what_the_pipeline_draws(tmp_path):
    """All four channels of the noise are guided, the variance behind them is dropped."""
    from diffusers import DiTPipeline

    folder = save_pipeline(tmp_path, classes=1000)
    pipeline = DiTPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    labels = torch.tensor([207, 1, 980])
    sampler = make_task("imagenet-dit", {}).gallery_sampler()
    drawn = list(sampler.batches(base.load_transformer(folder), labels, 1000, (4, 8, 8), seed=3))
    expected = pipeline(labels.tolist(), generator=torch.Generator().manual_seed(3), output_type="pt").images
    shapes = base.shapes(folder)
    with torch.inference_mode():
        ours = base.load_vae(folder).decode(drawn[0] / shapes.scale).sample
    assert torch.allclose((ours / 2 + 0.5).clamp(0, 1), expected, atol=1e-4)


def test_the_papers_protocol_takes_the_released_time_steps():
    """Of DiT's code: 250 steps evenly from 0 to 999, both ends included; latents are never clipped."""
    scheduler = make_task("imagenet-dit", {"protocol": "paper"}).sampler().scheduler()
    steps = scheduler.timesteps.flip(0)
    assert (len(steps), int(steps[0]), int(steps[-1])) == (250, 0, 999)
    assert not scheduler.config.clip_sample


def test_the_variance_term_is_the_divergence_from_the_posterior():
    """Against torch.distributions; the posterior is the product of the two normal densities that define it."""
    torch.manual_seed(0)
    schedule = diffusion.noise_schedule()
    steps = torch.tensor([1, 40, 500, 999])
    clean, noise, guess = torch.randn(3, 4, 4, 2, 2)
    noisy = schedule.add_noise(clean, noise, steps)
    fraction = torch.rand(4, 4, 2, 2) * 2 - 1
    found = variance_bound(schedule, clean, noisy, steps, guess, fraction)
    for row, step in enumerate(steps):
        beta, kept = schedule.betas[step].double(), schedule.alphas_cumprod[step - 1].double()
        x, y = clean[row].double(), noisy[row].double()
        product = schedule.alphas_cumprod[step].double()
        assumed = (y - (1 - product).sqrt() * guess[row]) / product.sqrt()
        precision = (1 - beta) / beta + 1 / (1 - kept)
        means = [(y * (1 - beta).sqrt() / beta + kept.sqrt() * z / (1 - kept)) / precision for z in (x, assumed)]
        share = (fraction[row].double() + 1) / 2
        deviation = torch.exp(0.5 * (share * beta.log() - (1 - share) * precision.log()))
        posterior = torch.distributions.Normal(means[0], precision.rsqrt())
        divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(means[1], deviation))
        assert found[row].item() == pytest.approx(divergence.mean().item() / np.log(2), rel=2e-3)


def test_the_variance_term_of_the_first_step_is_a_likelihood():
    """The probabilities of all grey levels add up to one."""
    schedule = diffusion.noise_schedule()
    levels = torch.linspace(-1, 1, 256).view(-1, 1, 1, 1)
    mean = torch.full_like(levels, 0.1)
    first = torch.zeros(256, dtype=torch.long)
    products = schedule.alphas_cumprod[0]
    # A noisy image and a noise prediction that lead to the same mean whatever the data.
    noise = (mean - products.sqrt() * mean) / (1 - products).sqrt()
    bits = variance_bound(schedule, levels, mean, first, noise, torch.ones_like(levels))
    assert torch.exp2(-bits).sum().item() == pytest.approx(1, abs=1e-3)


def test_the_loss_is_the_published_one(task):
    """Squared error plus the bound; the bound moves nothing but what speaks of the variance."""
    problem = task.problem(make_method("sfron", {}), 0, CPU)
    bare = make_task("imagenet-dit", task.model_dump() | {"variance_loss": False}).problem(
        make_method("sfron", {}), 0, CPU
    )
    (batch,) = problem.batches("forget", 1)
    extra = problem.loss(batch) - bare.loss(batch, problem.model)
    assert extra.shape == (4,)
    head = problem.model.proj_out_2
    (gradient,) = torch.autograd.grad(extra.sum(), [head.bias])
    by_channel = gradient.view(2, 2, 8)
    assert by_channel[..., :4].abs().max() < 1e-5 * by_channel[..., 4:].abs().max()


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"gradient_checkpointing": True}])
def test_ways_to_save_memory_keep_the_loss(task, settings):
    method = make_method("sfron", {})
    plain, saving = (
        make_task("imagenet-dit", task.model_dump() | more).problem(method, 0, CPU) for more in ({}, settings)
    )
    (batch,) = plain.batches("forget", 1)
    losses = [one.loss(batch) for one in (plain, saving)]
    assert torch.allclose(*losses, rtol=0.02)
    gradients = [
        torch.autograd.grad(loss.mean(), one.parameters(), allow_unused=True)
        for loss, one in zip(losses, (plain, saving), strict=True)
    ]
    assert all(a.dtype == torch.float32 for a in gradients[1] if a is not None)
    if "precision" not in settings:
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True) if a is not None)
    assert in_precision(plain.model, "fp32") is plain.model


def test_the_blocks_share_one_embedding_as_in_the_published_network(task, tmp_path):
    problem = task.problem(make_method("simulated-retrain", {}), 0, CPU)
    assert len(problem.label_tables()) == 1
    assert sum(parameter.numel() for parameter in problem.parameters()) == task.shapes().weights
    from diffusers import DiTTransformer2DModel

    with torch.device("meta"):
        full = DiTTransformer2DModel(out_channels=8)
    # The published figure, with the positions' fixed embedding left out.
    assert sum(parameter.numel() for parameter in base._shared(full)) / 1e6 == pytest.approx(675, abs=1)
    apart = DiTTransformer2DModel(
        sample_size=8, patch_size=2, num_layers=2, num_attention_heads=1, attention_head_dim=8, num_embeds_ada_norm=3
    )
    blocks = base.share_embeddings(apart).transformer_blocks
    assert blocks[0].norm1.emb is not blocks[1].norm1.emb


def test_labels_are_dropped_by_the_draw_alone(task):
    """Every block of diffusers' DiT would drop labels of its own in training mode."""
    problem = task.problem(make_method("esd", {}), 0, CPU)
    assert problem.model.training
    assert problem.null_label == CLASSES
    (batch,) = problem.batches("forget", 1)
    assert torch.equal(problem.predict(batch), problem.predict(batch))


def test_the_reference_step_needs_no_second_network_and_leaves_no_trace(task):
    problem = task.problem(make_method("esd", {}), 0, CPU)
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    with aside(problem):
        step = problem.training_step(lambda: pytest.fail("a second network might not fit"))
        step()
        step()
    assert all(torch.equal(value, before[name]) for name, value in problem.model.state_dict().items())
    assert all(weight.grad is None for weight in problem.model.parameters())
    assert problem.meter.forward_passes == problem.meter.backward_passes == 0
    assert not problem.original.training  # which cannot be had any more where weights were written to


APPLICABLE = [
    name
    for name in registry.methods.names()
    if make_task("imagenet-dit", {}).refusal(registry.methods.get(name)) is None
]


@pytest.mark.parametrize("name", APPLICABLE)
def test_every_method_that_applies_runs_on_latents(task, name):
    short = {key: 2 for key in ("steps", "replay") if key in registry.methods.get(name).model_fields}
    method = make_method(name, short)
    problem = task.problem(method, 0, CPU)
    problem.warm_up()
    problem.meter.reset()
    method.unlearn(problem)
    assert problem.meter.steps == short.get("steps", 0)
    check_finite(problem.model.state_dict())


def test_replay_is_made_of_latents(task):
    problem = task.problem(make_method("selective-amnesia", {}), 0, CPU)
    drawn = problem.generate(torch.tensor([1, 2]), problem.original)
    assert drawn.shape == (2, 4, 8, 8)
    assert not torch.equal(drawn, (drawn * 127.5).round() / 127.5)  # and not of bytes


def test_the_simulated_retraining_touches_the_forgotten_rows_alone(task):
    method = make_method("simulated-retrain", {})
    problem = task.problem(method, 0, CPU)
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    method.unlearn(problem)
    changed = {name for name, value in problem.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"transformer_blocks.{i}.norm1.emb.class_embedder.embedding_table.weight" for i in range(2)}
    for name in changed:
        rows = (problem.model.state_dict()[name] != before[name]).any(1)
        assert rows.nonzero().flatten().tolist() == [7]
    digits = make_task("digits-vae", {})
    assert "tables of label embeddings" in digits.refusal(registry.methods.get("simulated-retrain"))


def test_the_suite_names_settings_that_there_are_and_the_papers_classes():
    from unlearnbench.benchmark.running.identity import Configured
    from unlearnbench.benchmark.running.requests import load_suite

    requests = load_suite("imagenet-dit").requests()
    for request in requests:
        pair = Configured.of(request.task, request.method, request.settings)
        pair.check()
        assert pair.task.batch_size == 1
    assert {request.settings["forget_class"] for request in requests} == set(imagenet.FORGET_CLASSES)


def test_the_suite_has_cheats_a_precision_and_fits_into_a_day():
    """The arithmetic that the suite and the documentation show, from the task's own numbers."""
    from unlearnbench.benchmark.running.requests import load_suite

    root = Path(unlearnbench.__file__).parent
    requests = load_suite("imagenet-dit").requests()
    methods = {request.method for request in requests}
    assert {registry.methods.get(name).role for name in methods} == {"method", "reference", "cheat"}
    assert {"cheat-remap", "cheat-noise"} <= methods
    assert {request.settings["precision"] for request in requests} == {"bf16"}
    runs = sum(len(request.seeds) for request in requests)
    assert runs == 5 * len(methods) == 40
    task = make_task("imagenet-dit", {})
    guided = task.forget_samples + task.retain_samples + task.near_samples + task.inverted_samples
    images = guided + task.forget_samples
    sampling = 0.2373 * task.sampler().steps * (2 * guided + task.forget_samples)
    attack = 0.2373 * 3 * task.budget().inversion_steps * task.budget().batch
    seconds = (sampling + attack) / 250 + images * (0.6222 + 0.066) / 30 + 180
    train = 1300 - 10 + 10 * 999 - 10
    unlearning = 0.06 * (2 * train + 1290) + 0.08 * (2 * 600 + 2 * 500 + 2 * 1000 + 600)
    hours = (runs * seconds + 5 * unlearning) / 3600
    assert hours < 24
    assert f"= {hours:.1f} h" in (root / "benchmark" / "suites" / "imagenet-dit.toml").read_text()
    page = (root / "docs" / "tasks.md").read_text()
    assert f"= {hours:.1f} hours" in page
    assert f"| together | | {seconds / 60:.1f} |" in page


def test_near_classes_stand_beside_the_forgotten_one():
    assert imagenet.near_classes(207) == [205, 206, 208, 209]
    assert imagenet.near_classes(0, 10) == [1, 2]


def test_a_judge_says_what_its_network_says(miniature):
    import timm
    from safetensors.torch import load_file

    from unlearnbench.tasks.judges.timm import load_judge, parse_judge

    spec = parse_judge(miniature["judges"][0])
    judge = load_judge(spec, CLASSES, device=CPU).network
    network = timm.create_model(spec.name, num_classes=CLASSES).eval()
    network.load_state_dict(load_file(spec.file))
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    prepared = judge.prepare(images)
    assert prepared.shape == (3, 3, 160, 160)
    with torch.inference_mode():
        assert torch.allclose(judge.classify(judge.features(images)), network(prepared), atol=1e-5)
