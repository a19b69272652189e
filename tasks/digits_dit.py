"""``digits-dit``: a small diffusion transformer on scikit-learn's digits forgets one of them."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from .class_forgetting.diffusion import without_label_dropout
from .class_forgetting.probes import Budget
from .data import digits
from .digits_ddpm import DigitsDDPM
from .training.recipe import TrainingRecipe


class DigitsDiT(DigitsDDPM):
    """Class forgetting on a DiT of 0.8 M parameters in pixel space: four layers, 96 wide, patches of 2x2."""

    name: ClassVar[str] = "digits-dit"
    libraries: ClassVar[tuple[str, ...]] = ("diffusers.models.transformers.dit_transformer_2d",)
    judges_from: ClassVar[str] = "digits-ddpm"
    recipe: ClassVar[TrainingRecipe] = TrainingRecipe(steps=3000, batch_size=128, lr=1e-3)
    budget: ClassVar[Budget] = Budget(inversion_lr=5e-2, benign_steps=0, samples=0)

    def network(self) -> nn.Module:
        """See ``RetrainedTask.network``."""
        from diffusers import DiTTransformer2DModel

        return without_label_dropout(
            DiTTransformer2DModel(
                sample_size=digits.SIZE,
                patch_size=2,
                in_channels=1,
                out_channels=1,
                num_layers=4,
                num_attention_heads=4,
                attention_head_dim=24,
                num_embeds_ada_norm=digits.NUM_CLASSES,
            )
        )
