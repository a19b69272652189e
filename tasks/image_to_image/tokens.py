"""In-painting over the tokens of a VQGAN (Chang et al., 2022): diffusers' ``UVit2DModel`` over ``VQModel``, as aMUSEd is.

The hole's tokens are masked and predicted; the tokenizer is never edited. aMUSEd takes its prompt from CLIP, and the empty
prompt stands for none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d

from ...benchmark.errors import BenchmarkError, first_line
from .checkpoints import read_config
from .inpainter import Inpainter

if TYPE_CHECKING:
    from diffusers import AmusedScheduler, UVit2DModel, VQModel

STEPS, TEMPERATURES = 12, (2, 0)
"""aMUSEd's defaults for sampling: as many steps, and choices that become less random from step to step."""
AESTHETIC_SCORE = 6.0
PARTS = ("transformer", "vqvae", "text_encoder", "tokenizer", "scheduler")
"""The folders of a checkpoint."""


class TokenInpainter(Inpainter):
    """Predicts masked tokens from visible ones, in one pass.

    Args:
        network: Takes token indices ``(B, h, w)`` and returns a logit for each of the K codes, ``(B, K, h, w)``.
        prompt: The empty prompt's hidden states, ``(1, L, D)``.
        pooled: Its pooled embedding, ``(1, P)``.
        size: Height and width of the pictures, in pixels, which the network is told.
    """

    def __init__(self, network: UVit2DModel, prompt: Tensor, pooled: Tensor, size: int) -> None:
        super().__init__()
        self.network = network
        self.prompt = nn.Buffer(prompt, persistent=False)
        self.pooled = nn.Buffer(pooled, persistent=False)
        self.micro = nn.Buffer(torch.tensor([[size, size, 0.0, 0.0, AESTHETIC_SCORE]]), persistent=False)

    @property
    def encoder(self) -> nn.Module:
        """See ``Inpainter.encoder``: all up to the last transformer layer, but for the conditions, which the decoder shares."""
        network = self.network
        return nn.ModuleList(
            [
                network.embed,
                network.down_block,
                network.project_to_hidden_norm,
                network.project_to_hidden,
                network.transformer_layers,
            ]
        )

    def forward(self, visible: Tensor, hole: Tensor, **inputs: Tensor) -> Tensor:
        """See ``Inpainter.forward``: logits ``(B, K, h, w)`` for the ``tokens`` among the inputs."""
        tokens, count = inputs["tokens"], len(visible)
        conditions = [part.expand(count, *part.shape[1:]) for part in (self.prompt, self.pooled, self.micro)]
        predicted: Tensor = self.network(tokens, *conditions)
        return predicted

    def encode(self, visible: Tensor, hole: Tensor, **inputs: Tensor) -> Tensor:
        """See ``Inpainter.encode``: what the last transformer layer returns, ``(B, h * w, D)``."""
        from diffusers.models.embeddings import get_timestep_embedding

        network, count = self.network, len(visible)
        text = network.encoder_proj_layer_norm(network.encoder_proj(self.prompt)).expand(count, -1, -1)
        micro = get_timestep_embedding(
            self.micro.flatten(), network.config.micro_cond_encode_dim, flip_sin_to_cos=True, downscale_freq_shift=0
        )
        pooled = network.cond_embed(torch.cat([self.pooled, micro.view(1, -1)], 1)).expand(count, -1)
        hidden = network.down_block(
            network.embed(inputs["tokens"]),
            pooled_text_emb=pooled,
            encoder_hidden_states=text,
            cross_attention_kwargs=None,
        )
        hidden = network.project_to_hidden(network.project_to_hidden_norm(hidden.flatten(2).transpose(1, 2)))
        for layer in network.transformer_layers:
            hidden = layer(hidden, encoder_hidden_states=text, added_cond_kwargs={"pooled_text_emb": pooled})
        embedding: Tensor = hidden
        return embedding


class TokenFilling:
    """See ``Filling``: the training loss is the cross-entropy of the masked tokens, and holes are filled in a few steps.

    Args:
        tokenizer: Turns pictures into tokens and back.
        scheduler: Says which token is the mask, and how many stay masked after each step.
    """

    def __init__(self, tokenizer: VQModel, scheduler: AmusedScheduler) -> None:
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.scheduler = scheduler
        self.mask_token: int = scheduler.config.mask_token_id
        self.factor: int = 2 ** (len(tokenizer.config.block_out_channels) - 1)

    def draw(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See ``Filling.draw``: nothing."""
        return {}

    def inputs(self, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See ``Filling.inputs``: the tokens of the blanked images, those in and next to the hole masked."""
        tokens = self.tokens(images.masked_fill(hole, 0.0))
        return {"tokens": tokens.masked_fill(self.masked(hole), self.mask_token)}

    def error(self, predicted: Tensor, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """See ``Filling.error``: the cross-entropy of the true tokens, a mean over the masked ones."""
        masked = self.masked(hole)
        losses = cross_entropy(predicted, self.tokens(images), reduction="none") * masked
        return losses.flatten(1).sum(1) / masked.flatten(1).sum(1)

    def inside(self, predicted: Tensor, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """See ``Filling.inside``: zero where nothing is masked."""
        return predicted * self.masked(hole).unsqueeze(1)

    def fill(self, model: nn.Module, visible: Tensor, hole: Tensor, seed: int) -> Tensor:
        """See ``Filling.fill``: the most certain tokens of every step are kept, as in aMUSEd's in-painting pipeline."""
        generator = torch.Generator().manual_seed(seed)
        tokens = self.inputs(visible, hole, {})["tokens"]
        share = float((tokens == self.mask_token).float().mean())
        self.scheduler.set_timesteps(STEPS, TEMPERATURES, visible.device)
        for step in self.scheduler.timesteps:
            logits = model(visible, hole, tokens=tokens)
            tokens = self.scheduler.step(logits, step, tokens, share, generator).prev_sample
        return torch.where(hole, self.picture(tokens), visible)

    def masked(self, hole: Tensor) -> Tensor:
        """Returns which tokens are masked, ``(B, h, w)``: those that touch the hole, and their neighbours.

        The tokenizer saw grey in the hole, and its convolutions carry that into the tokens around (Li et al., released code,
        widen the hole by a token for the same reason).
        """
        touched = max_pool2d(hole.float(), self.factor)
        return max_pool2d(touched, 3, stride=1, padding=1)[:, 0].bool()

    @torch.no_grad()
    def tokens(self, images: Tensor) -> Tensor:
        """Returns the tokens of images in [-1, 1], ``(B, h, w)``."""
        tokenizer: Any = self.tokenizer.to(images.device)
        latents = tokenizer.encode((images + 1) / 2).latents
        found: Tensor = tokenizer.quantize(latents)[2][2]
        return found.view(len(images), *latents.shape[-2:])

    @torch.no_grad()
    def picture(self, tokens: Tensor) -> Tensor:
        """Returns the images that tokens stand for, in [-1, 1]."""
        tokenizer: Any = self.tokenizer.to(tokens.device)
        width = tokenizer.quantize.embedding.weight.shape[1]
        codes = tokenizer.quantize.get_codebook_entry(tokens.flatten(), (*tokens.shape, width))
        images: Tensor = tokenizer.decoder(tokenizer.post_quant_conv(codes))
        return images.clamp(0, 1) * 2 - 1


def load_token_inpainter(folder: Path, size: int, way_out: str) -> TokenInpainter:
    """Returns the network of a checkpoint in aMUSEd's layout, told the empty prompt, in evaluation mode.

    Raises:
        BenchmarkError: The folder holds other models, or damaged ones.
    """
    from diffusers import UVit2DModel
    from transformers import AutoTokenizer, CLIPTextModelWithProjection

    read_config(folder, "transformer", "UVit2DModel", way_out)
    read_config(folder, "text_encoder", "CLIPTextModelWithProjection", way_out)
    try:
        words = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        ids = words([""], padding="max_length", max_length=words.model_max_length, return_tensors="pt").input_ids
        text: Any = CLIPTextModelWithProjection.from_pretrained(
            folder / "text_encoder", use_safetensors=True, local_files_only=True
        )
        with torch.inference_mode():
            found = text.eval()(ids, output_hidden_states=True)
        network = UVit2DModel.from_pretrained(
            folder, subfolder="transformer", use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
        inpainter = TokenInpainter(network, found.hidden_states[-2].clone(), found.text_embeds.clone(), size)
        return inpainter.eval()
    # transformers, diffusers and safetensors raise kinds of their own for files that are damaged or do not fit.
    except Exception as error:  # noqa: BLE001
        raise _unusable(folder, error, way_out) from None


@functools.lru_cache(maxsize=1)
def load_token_filling(folder: Path, size: int, grid: int, way_out: str) -> TokenFilling:
    """Returns the tokenizer of a checkpoint in aMUSEd's layout.

    Raises:
        BenchmarkError: The folder holds another kind of tokenizer, a damaged one, or one of another size.
    """
    from diffusers import AmusedScheduler, VQModel

    read_config(folder, "vqvae", "VQModel", way_out)
    try:
        tokenizer = VQModel.from_pretrained(
            folder, subfolder="vqvae", use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
        # In-painting takes the linear schedule whatever the checkpoint says, as aMUSEd's own pipeline does.
        scheduler = AmusedScheduler.from_pretrained(folder, subfolder="scheduler", masking_schedule="linear")
        filling = TokenFilling(tokenizer, scheduler)
    # As above.
    except Exception as error:  # noqa: BLE001
        raise _unusable(folder, error, way_out) from None
    if filling.factor != grid or size % grid:
        raise BenchmarkError(
            f"The tokens of {folder / 'vqvae'} are squares of {filling.factor} pixels, and the task's of {grid}; {way_out}."
        )
    return filling


def _unusable(folder: Path, error: Exception, way_out: str) -> BenchmarkError:
    return BenchmarkError(f"The checkpoint in {folder} cannot be loaded ({first_line(error)[:160]}); {way_out}.")
