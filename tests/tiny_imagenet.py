"""A miniature of all that `imagenet-dit` reads, in the formats of the hub: pipeline, parquet files, judges."""

import numpy as np
import pytest
import torch

from parquet_files import encoded, write_parquet
from unlearnbench.benchmark.records.places import assets_only_in
from unlearnbench.benchmark.running.identity import make_task

CPU = torch.device("cpu")
CLASSES = 10
SIDE = 32
FAST = {
    "forget_class": 7,
    "batch_size": 4,
    "forget_images": 12,
    "retain_images_per_class": 3,
    "reference_images_per_class": 4,
    "forget_samples": 20,
    "retain_samples": 27,
    "near_samples": 20,
    "inverted_samples": 20,
}


def save_pipeline(folder, classes=CLASSES, **options):
    """A random DiT with its autoencoder, as the hub keeps facebook/DiT-XL-2-256."""
    from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    torch.manual_seed(0)
    transformer = DiTTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_embeds_ada_norm=classes,
    )
    for block in transformer.transformer_blocks[1:]:
        # What the hub's conversion of the published network has: a copy for every block.
        block.norm1.emb.load_state_dict(transformer.transformer_blocks[0].norm1.emb.state_dict())
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        latent_channels=4,
        layers_per_block=1,
    )
    scheduler = DDIMScheduler(**{"clip_sample": False, **options})
    # The hub's files are pickles of the older kind.
    DiTPipeline(transformer, vae, scheduler).save_pretrained(folder, safe_serialization=False)
    return folder


def save_parquet(folder, split, count, files=2, damaged=False):
    """Pictures of noise around a colour of the class, in files whose rows are mixed as the hub's are."""
    import datasets

    generator = np.random.default_rng(len(split))
    labels = generator.permutation(np.repeat(np.arange(CLASSES), count))
    rows = []
    for label in labels:
        colour = np.array([25 * label, 255 - 25 * label, 128])
        noise = generator.normal(0, 30, (40, 36, 3))
        rows.append(encoded((colour + noise).clip(0, 255).astype(np.uint8), "JPEG"))
    if damaged:
        rows[3]["bytes"] = rows[3]["bytes"][:60]
    names = datasets.ClassLabel(names=[f"n{label}" for label in range(CLASSES)])
    types = {"image": datasets.Image(), "label": names}
    for file, index in enumerate(np.array_split(np.arange(len(rows)), files)):
        part = {"image": [rows[i] for i in index], "label": [int(labels[i]) for i in index]}
        path = folder / "data" / f"{split}-{file:05d}-of-{files:05d}.parquet"
        write_parquet(path, part, types)
    return folder


def save_judge(path, name, classes=CLASSES, **options):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(1)
    save_file(timm.create_model(name, num_classes=classes, **options).state_dict(), path)
    return f"{name}={path}"


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """Settings that point at a miniature of everything."""
    folder = tmp_path_factory.mktemp("miniature")
    save_parquet(folder / "imagenet", "train", 20)
    save_parquet(folder / "imagenet", "validation", 5)
    judges = [save_judge(folder / f"{name}.safetensors", name) for name in ("test_resnet", "test_efficientnet")]
    return FAST | {
        "base": str(save_pipeline(folder / "base")),
        "data": str(folder / "imagenet"),
        "judges": judges,
    }


@pytest.fixture(scope="module")
def prepared(miniature, tmp_path_factory):
    """The folder of a prepared task."""
    out = tmp_path_factory.mktemp("prepared")
    with assets_only_in(out):
        make_task("imagenet-dit", miniature).prepare(lambda what, done, total: None)
    return out


@pytest.fixture
def task(miniature, prepared, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(prepared))
    return make_task("imagenet-dit", miniature)
