"""Palette's converter against a reference of the public U-Net, its sampler, and the embedding that Li et al. train on."""

import math
import pickle

import pytest
import torch
from torch import nn

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.image_to_image import convert_palette
from unlearnbench.tasks.image_to_image.inpainter import blank
from unlearnbench.tasks.image_to_image.palette import (
    SAMPLING_BETAS,
    STEPS,
    TRAINING_BETAS,
    AncestralPalette,
    Palette,
    load_palette,
    signal_shares,
    unet,
)

WIDTH, MULTIPLES, LAYERS, HEAD, SIZE = 32, (1, 2, 2), 2, 16, 16


class Residual(nn.Module):
    """A block of guided diffusion: scale and shift by the embedding, sampled up or down before the first convolution."""

    def __init__(self, channels, out, embedding, resample=None):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(out, out, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)
        self.resample = {
            None: nn.Identity(), "down": nn.AvgPool2d(2), "up": nn.Upsample(scale_factor=2, mode="nearest")
        }[resample]  # fmt: skip

    def forward(self, x, embedding):
        hidden = self.in_layers[2](self.resample(self.in_layers[1](self.in_layers[0](x))))
        scale, shift = self.emb_layers(embedding)[..., None, None].chunk(2, 1)
        hidden = self.out_layers[0](hidden) * (1 + scale) + shift
        return self.skip_connection(self.resample(x)) + self.out_layers[1:](hidden)


class Attention(nn.Module):
    """Heads are cut first, then query, key and value of each."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x, _):
        batch, channels = x.shape[:2]
        heads = self.qkv(self.norm(x.flatten(2))).reshape(batch * channels // HEAD, 3 * HEAD, -1)
        query, key, value = heads.split(HEAD, 1)
        weights = (query.transpose(1, 2) @ key / math.sqrt(HEAD)).softmax(-1)
        mixed = (value @ weights.transpose(1, 2)).reshape(batch, channels, -1)
        return x + self.proj_out(mixed).view_as(x)


class Blocks(nn.Sequential):
    def forward(self, x, embedding):
        for block in self:
            x = block(x) if isinstance(block, nn.Conv2d) else block(x, embedding)
        return x


class Reference(nn.Module):
    """The network of the public re-implementation, with its names of weights."""

    def __init__(self):
        super().__init__()
        embedding, channels = 4 * WIDTH, WIDTH
        self.cond_embed = nn.Sequential(nn.Linear(WIDTH, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.input_blocks = nn.ModuleList([Blocks(nn.Conv2d(6, channels, 3, padding=1))])
        skips = [channels]
        for level, multiple in enumerate(MULTIPLES):
            for _ in range(LAYERS):
                self.input_blocks.append(Blocks(Residual(channels, WIDTH * multiple, embedding)))
                channels = WIDTH * multiple
                skips.append(channels)
            if level < len(MULTIPLES) - 1:
                self.input_blocks.append(Blocks(Residual(channels, channels, embedding, "down")))
                skips.append(channels)
        self.middle_block = Blocks(
            Residual(channels, channels, embedding), Attention(channels), Residual(channels, channels, embedding)
        )
        self.output_blocks = nn.ModuleList()
        for level, multiple in reversed(list(enumerate(MULTIPLES))):
            for layer in range(LAYERS + 1):
                blocks = [Residual(channels + skips.pop(), WIDTH * multiple, embedding)]
                channels = WIDTH * multiple
                if level and layer == LAYERS:
                    blocks.append(Residual(channels, channels, embedding, "up"))
                self.output_blocks.append(Blocks(*blocks))
        self.out = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, x, share):
        half = WIDTH // 2
        angles = share[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        embedding = self.cond_embed(torch.cat([angles.cos(), angles.sin()], 1))
        kept, hidden = [], x
        for block in self.input_blocks:
            hidden = block(hidden, embedding)
            kept.append(hidden)
        hidden = self.middle_block(hidden, embedding)
        middle = hidden
        for block in self.output_blocks:
            hidden = block(torch.cat([hidden, kept[-1]], 1), embedding)
            kept.pop()
        return self.out(hidden), middle


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    network = Reference().eval()
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn_like(value) / math.sqrt(max(1, value[0].numel())))
    return network


@pytest.fixture(scope="module")
def public(reference):
    """The file's contents: the network below ``denoise_fn``, and the schedules."""
    state = {f"denoise_fn.{key}": value for key, value in reference.state_dict().items()}
    return state | {"gammas": torch.rand(STEPS), "sqrt_recip_gammas": torch.rand(STEPS)}


@pytest.fixture(scope="module")
def converted(public):
    return convert_palette.convert(public, SIZE, HEAD).eval()


def test_the_converted_network_computes_what_the_public_one_does(reference, converted):
    x, share = torch.randn(3, 6, SIZE, SIZE), torch.tensor([0.01, 0.5, 0.999])
    with torch.inference_mode():
        ours, theirs = converted(x, share).sample, reference(x, share)[0]
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_the_defaults_are_the_public_checkpoints_size():
    with torch.device("meta"):
        network = unet(256)
    assert sum(value.numel() for value in network.parameters()) == 62_641_347


def test_the_command_converts_both_formats_and_the_task_loads_the_folder(public, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(convert_palette, "HEAD_WIDTH", HEAD)
    monkeypatch.setattr(convert_palette.convert, "__defaults__", (SIZE, HEAD))
    from safetensors.torch import save_file

    torch.save(public, tmp_path / "16_Network.pth")
    save_file({key: value.contiguous() for key, value in public.items()}, tmp_path / "same.safetensors")
    for name in ("16_Network.pth", "same.safetensors"):
        assert convert_palette.main([str(tmp_path / name), str(tmp_path / "out"), "--size", str(SIZE)]) == 0
    assert "parameters" in capsys.readouterr().out
    model = load_palette(tmp_path / "out", SIZE, Palette, "convert it")
    assert isinstance(model, Palette)
    with pytest.raises(BenchmarkError, match="pictures of 16 pixels"):
        load_palette(tmp_path / "out", 256, Palette, "convert it")


def test_a_file_that_is_none_a_pickle_or_another_network_is_refused(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return (exit, (7,))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save({"weights": Evil()}, tmp_path / "evil2.pth")
    torch.save({"denoise_fn.cond_embed.0.weight": torch.zeros(8, 2)}, tmp_path / "other.pth")
    (tmp_path / "torn.safetensors").write_bytes(b"\0" * 20)
    for name in ("absent.pth", "evil.pth", "evil2.pth", "other.pth", "torn.safetensors"):
        assert convert_palette.main([str(tmp_path / name), str(tmp_path / "out")]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1, name
    assert not (tmp_path / "out").exists()


def small(kind=Palette):
    torch.manual_seed(0)
    return kind(unet(SIZE, 32, (1, 2), 1, 16)).eval()


def drawn(model, images):
    hole = torch.zeros(len(images), 1, SIZE, SIZE, dtype=torch.bool)
    hole[:, :, 4:12, 4:12] = True
    draw = model.draw(images, torch.Generator().manual_seed(0))
    return hole, draw, model.inputs(images, hole, draw)


def test_the_embeddings_error_is_the_mean_of_the_layers_errors():
    model, other = small(), small()
    images = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    hole, _, inputs = drawn(model, images)
    with torch.no_grad():
        for value in other.encoder.parameters():
            value.add_(0.05)

    def layers(network):
        found = []
        parts = [
            network.conv_in,
            *(b for block in network.down_blocks for b in [*block.resnets, *(block.downsamplers or [])]),
        ]
        hooks = [
            part.register_forward_hook(lambda _m, _i, out: found.append(out)) for part in [*parts, network.mid_block]
        ]
        return found, hooks

    ours, theirs = layers(model.network)[0], layers(other.network)[0]
    with torch.inference_mode():
        a, b = (part.encode(blank(images, hole), hole, **inputs) for part in (model, other))
    expected = torch.stack([(x - y).square().flatten(1).mean(1) for x, y in zip(ours, theirs, strict=True)]).mean(0)
    assert torch.allclose((a - b).square().mean(1), expected, rtol=1e-4)


def test_the_decoder_is_no_part_of_the_encoder():
    model = small()
    encoder = {id(value) for value in model.encoder.parameters()}
    others = {name for name, value in model.network.named_parameters() if id(value) not in encoder}
    assert {name.split(".")[0] for name in others} == {"time_embedding", "up_blocks", "conv_norm_out", "conv_out"}


def test_nothing_but_the_visible_part_and_the_draw_reaches_the_network():
    model = small()
    images = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    hole, draw, inputs = drawn(model, images)
    changed = torch.where(hole, images, torch.zeros(()))
    with torch.inference_mode():
        first = model(blank(images, hole), hole, **inputs)
        again = model(blank(images, hole), hole, **(inputs | {"noisy": torch.where(hole, inputs["noisy"], changed)}))
    assert torch.equal(first, again)
    assert model.target(images, draw) is draw["noise"]
    assert ((draw["level"] > 0) & (draw["level"] < 1)).all()


class Knows(nn.Module):
    """Predicts the noise of a picture that it knows: what a perfect network would."""

    def __init__(self, picture):
        super().__init__()
        self.picture = picture

    def forward(self, visible, hole, noisy, filler, level):
        share = level.view(-1, 1, 1, 1)
        return (noisy - share.sqrt() * self.picture) / (1 - share).sqrt()


@pytest.mark.parametrize("kind", [Palette, AncestralPalette])
def test_a_sampler_reaches_the_picture_that_the_network_knows(kind):
    picture = torch.rand(2, 3, SIZE, SIZE) * 1.6 - 0.8
    hole = torch.zeros(2, 1, SIZE, SIZE, dtype=torch.bool)
    hole[:, :, 4:12, 4:12] = True
    filled = kind.fill(Knows(picture), blank(picture, hole), hole, seed=0)
    assert torch.allclose(filled, picture, atol=1e-3)


def test_filling_depends_on_the_seed_alone_and_keeps_what_is_visible():
    model = small()
    images = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    hole = drawn(model, images)[0]
    with torch.inference_mode():
        first, again, other = (model.fill(model, blank(images, hole), hole, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first[~hole.expand_as(first)], images[~hole.expand_as(images)])


def test_the_schedules_are_the_released_ones():
    training, sampling = signal_shares(*TRAINING_BETAS), signal_shares(*SAMPLING_BETAS)
    assert len(training) == len(sampling) == 2000
    assert training[0] == pytest.approx(1 - 1e-6)
    assert float(training[-1]) == pytest.approx(math.exp(-10.04), rel=0.02)
    assert float(sampling[0]) == pytest.approx(1 - 1e-4)
    assert 0 < float(sampling[-1]) < 1e-30
