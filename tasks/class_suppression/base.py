"""The model that forgets: a class-conditional latent DiT (Peebles and Xie, 2023) as diffusers' ``DiTPipeline`` keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from ...benchmark.errors import BenchmarkError, first_line
from ...benchmark.records.files import file_sha256, files_below
from ..class_forgetting import diffusion
from ..data import hub

HUB_ID = "facebook/DiT-XL-2-256"
REVISION = "eab87f77abd5aef071a632f08807fbaab0b704d0"
"""The hub's only release of the weights in this layout."""
PARTS = ("transformer", "vae")
_PATTERNS = ("model_index.json", "scheduler/*", "transformer/*", "vae/*")
_WAY_OUT = "download the repository on another machine and name the folder with `--set base=FOLDER`"
BYTES_A_WEIGHT = 16
"""Weight, gradient and Adam's two moments, four bytes each."""


class Shapes(NamedTuple):
    """What the configuration files say of a checkpoint."""

    num_classes: int
    latent: tuple[int, int, int]
    """``(C, H, W)``."""
    image_size: int
    scale: float
    """What the autoencoder's latents are multiplied by."""
    weights: int
    """Parameters of the transformer, with the embeddings of time and label counted once."""


def is_hub_name(base: str) -> bool:
    """Returns whether a base is a repository on the hub and not a folder, there or missing."""
    return not Path(base).is_dir() and not base.startswith((".", "/", "~")) and base.count("/") == 1


def locate(base: str, revision: str | None, *, download: bool) -> Path:
    """Returns the folder of a checkpoint in ``from_pretrained`` layout.

    Args:
        base: A folder, or a name on the hub.
        revision: The commit, for a name on the hub.
        download: Whether to ask the hub for what is not on this machine.

    Raises:
        BenchmarkError: There is no such folder, or the hub does not give it.
    """
    if Path(base).is_dir():
        folder = Path(base)
    elif not is_hub_name(base):
        raise BenchmarkError(
            f"There is no folder {base} with a base model; give a folder in diffusers' from_pretrained layout or a name on "
            f"the hub such as {HUB_ID}."
        )
    else:
        folder = hub.fetch_folder(base, _PATTERNS, revision=revision, download=download, way_out=_WAY_OUT)
    if not (folder / "model_index.json").is_file():
        raise BenchmarkError(
            f"{folder} holds no diffusers pipeline (it lacks model_index.json); give a folder that "
            f"DiTPipeline.save_pretrained wrote, or {HUB_ID}."
        )
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """Returns the hash of every file of weights and configuration that is loaded, by its path in the folder."""
    files = [path for part in (*PARTS, "scheduler") for path in files_below(folder / part)]
    return {str(path.relative_to(folder)): file_sha256(path) for path in files}


def shapes(folder: Path) -> Shapes:
    """Reads what a checkpoint is, without its weights.

    Raises:
        BenchmarkError: It is no class-conditional DiT with an autoencoder of the same latents, or it was trained with
            another noise schedule than the task's.
    """
    from diffusers import DiTTransformer2DModel

    index = _read(folder / "model_index.json")
    if index.get("_class_name") != "DiTPipeline":
        raise BenchmarkError(
            f"{folder} holds a {index.get('_class_name', 'file of another kind')} and not a DiTPipeline; "
            f"give {HUB_ID} or a copy of it."
        )
    transformer, vae, scheduler = (
        _read(folder / part / name)
        for part, name in (
            ("transformer", "config.json"),
            ("vae", "config.json"),
            ("scheduler", "scheduler_config.json"),
        )
    )
    schedule = diffusion.noise_schedule().config
    for key in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule"):
        if scheduler.get(key, schedule[key]) != schedule[key]:
            raise BenchmarkError(
                f"{folder} was trained with {key} = {scheduler[key]} and not {schedule[key]}, so its loss is not the task's; "
                f"give {HUB_ID} or a model that was trained like it."
            )
    try:
        with torch.device("meta"):
            network = DiTTransformer2DModel.from_config(transformer)
        channels, side = int(network.config.in_channels), int(network.config.sample_size)
        factor = 2 ** (len(vae["block_out_channels"]) - 1)
        found = Shapes(
            num_classes=int(network.config.num_embeds_ada_norm),
            latent=(channels, side, side),
            image_size=side * factor,
            scale=float(vae.get("scaling_factor", 0.18215)),
            weights=sum(parameter.numel() for parameter in _shared(network)),
        )
    except (KeyError, TypeError, ValueError, NotImplementedError) as error:
        raise BenchmarkError(
            f"The configuration of the base model in {folder} cannot be read ({first_line(error)}); "
            f"give {HUB_ID} or a copy of it."
        ) from None
    if vae.get("latent_channels", 4) != channels or network.config.out_channels not in (channels, 2 * channels):
        raise BenchmarkError(
            f"The transformer and the autoencoder in {folder} do not fit; give {HUB_ID} or a copy of it."
        )
    return found


def load_transformer(folder: Path) -> nn.Module:
    """Loads the transformer, in single precision and in evaluation mode; it drops no labels by itself.

    Raises:
        BenchmarkError: Its files are missing or damaged.
    """
    return share_embeddings(diffusion.without_label_dropout(_load(folder, "transformer")))


def share_embeddings(network: nn.Module) -> nn.Module:
    """Makes the blocks share one embedding of time and label, as in the network that was published and trained.

    diffusers gives every block a copy; unlearning would move each copy for itself. Copies that differ are left alone.
    """
    first, *others = [block.norm1.emb for block in cast(Any, network).transformer_blocks]
    known = first.state_dict()
    if all(torch.equal(value, known[name]) for other in others for name, value in other.state_dict().items()):
        for block in cast(Any, network).transformer_blocks:
            block.norm1.emb = first
    return network


def load_vae(folder: Path) -> nn.Module:
    """Loads the autoencoder, frozen.

    Raises:
        BenchmarkError: See ``load_transformer``.
    """
    return _load(folder, "vae").requires_grad_(False)


def check_memory(shapes: Shapes, device: torch.device) -> None:
    """Raises before anything is loaded if the device cannot hold weights, gradients and Adam's moments.

    Raises:
        BenchmarkError: It cannot.
    """
    needed, free = BYTES_A_WEIGHT * shapes.weights, free_bytes(device)
    if free is not None and needed > free:
        where = "The GPU" if device.type == "cuda" else "This machine"
        raise BenchmarkError(
            f"{where} has {free / 2**30:.1f} GiB of free memory, and unlearning needs at least {needed / 2**30:.1f} GiB for "
            f"the weights, gradients and Adam's moments of {shapes.weights / 1e6:,.0f} M parameters; use a larger device or "
            "free this one."
        )


def free_bytes(device: torch.device) -> int | None:
    """Returns the free memory of a device; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _load(folder: Path, part: str) -> nn.Module:
    from diffusers import DiTPipeline
    from diffusers.utils import logging as diffusers_logging

    options: dict[str, Any] = {name: None for name in PARTS if name != part}
    # The hub's copy has weights of the older kind, which diffusers would otherwise complain about before it takes them.
    options["use_safetensors"] = any((folder / part).glob("*.safetensors"))
    diffusers_logging.disable_progress_bar()
    try:
        pipeline = DiTPipeline.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False, **options)
        network: nn.Module = getattr(pipeline, part)
        return network.float().eval()
    # Missing, cut off and foreign files each raise a kind of their own in diffusers, safetensors and pickle.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The {part} of the base model in {folder} cannot be loaded ({first_line(error)[:200]}); download it again."
        ) from None


def _shared(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that are left when all blocks share the first one's embedding."""
    first = "transformer_blocks.0.norm1.emb."
    return [value for name, value in network.named_parameters() if ".norm1.emb." not in name or name.startswith(first)]


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BenchmarkError(
            f"{path} of the base model cannot be read ({first_line(error)}); download it again."
        ) from None
    return found
