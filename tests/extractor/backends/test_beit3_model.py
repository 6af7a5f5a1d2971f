"""BEiT-3 against its specification: names and shapes, a literal derivation, timm; and what must not matter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from extractor.backends.beit3.model import BASE, LARGE, Beit3, Sizes
from extractor.backends.beit3.reading import Batch, read_layers
from extractor.backends.beit3.unified import Output
from extractor.layers import Layer

TINY = Sizes(width=32, depth=3, heads=4, hidden=48, patch=4, grid=2, vocabulary=50, longest=12, itc=True, pooler=True)
PATCHES = TINY.grid**2
EDGE = TINY.grid * TINY.patch
CLS, TEXT = Layer("visual", "cls"), Layer("textual", "cls")
Arrays = Mapping[str, np.ndarray]


def random_model(sizes: Sizes, seed: int = 0) -> Beit3:
    """Every weight, bias and norm away from its neutral value; float64."""
    torch.manual_seed(seed)
    model = Beit3(sizes).double().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(parameter * 0.5 + 0.1 * torch.randn_like(parameter))
    return model


def random_batch(count: int = 3, length: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(count, 3, EDGE, EDGE, generator=generator, dtype=torch.float64)
    return Batch(pixels, torch.randint(0, TINY.vocabulary, (count, length), generator=generator))


def final(model: Beit3, route: str, batch: Batch) -> torch.Tensor:
    *_, last = model.states(route, batch)
    return model.finish(route, last, batch)


# ---------------------------------------------------------------------------------------------------------------
# the specification's tables
# ---------------------------------------------------------------------------------------------------------------


def table(d: int, layers: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the trunk, as part 2.1 of the specification lists them."""

    def pair(name: str, out: int, *inner: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (out, *inner), f"{name}.bias": (out,)}

    shapes: dict[str, tuple[int, ...]] = {
        "text_embed.weight": (64010, d),
        "vision_embed.cls_token": (1, 1, d),
        "vision_embed.mask_token": (1, 1, d),
        **pair("vision_embed.proj", d, 3, 16, 16),
        "encoder.embed_positions.A.weight": (199, d),
        "encoder.embed_positions.B.weight": (1024, d),
    }
    for side in "AB":
        shapes |= pair(f"encoder.layer_norm.{side}", d)
        for i in range(layers):
            at = f"encoder.layers.{i}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes |= pair(f"{at}.self_attn.{name}.{side}", d, d)
            shapes |= pair(f"{at}.self_attn.inner_attn_ln.{side}", d)
            shapes |= pair(f"{at}.self_attn_layer_norm.{side}", d)
            shapes |= pair(f"{at}.ffn.{side}.fc1", hidden, d)
            shapes |= pair(f"{at}.ffn.{side}.fc2", d, hidden)
            shapes |= pair(f"{at}.ffn.{side}.ffn_layernorm", hidden)
            shapes |= pair(f"{at}.final_layer_norm.{side}", d)
    return {f"beit3.{name}": shape for name, shape in shapes.items()}


@pytest.mark.parametrize("sizes", [BASE, LARGE], ids=["base", "large"])
def test_names_and_shapes_are_the_published_ones(sizes: Sizes) -> None:
    with torch.device("meta"):
        model = Beit3(sizes)
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert found == table(sizes.width, sizes.depth, sizes.hidden)


def test_the_base_trunk_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = Beit3(replace(BASE, itc=True))
    assert round(sum(p.numel() for p in model.beit3.parameters()) / 1e6, 2) == 220.99
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 222.2
    assert set(model.state_dict()) - set(table(768, 12, 3072)) == {"vision_head.weight", "language_head.weight"}


# ---------------------------------------------------------------------------------------------------------------
# a literal derivation, one token and one head at a time
# ---------------------------------------------------------------------------------------------------------------


class Literal:
    """Part 2.1 of the specification in loops over tokens and heads; padding simply is not there."""

    def __init__(self, state: Arrays, heads: int) -> None:
        self.state, self.heads = state, heads

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.state[f"{name}.weight"] @ x + self.state[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean()
        scaled = centred / math.sqrt((centred**2).mean() + 1e-5)
        return scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def image(self, pixels: np.ndarray, patch: int) -> list[np.ndarray]:
        kernel, bias = self.state["beit3.vision_embed.proj.weight"], self.state["beit3.vision_embed.proj.bias"]
        tokens = [self.state["beit3.vision_embed.cls_token"][0, 0]]
        for top in range(0, pixels.shape[1], patch):
            for left in range(0, pixels.shape[2], patch):
                cut = pixels[:, top : top + patch, left : left + patch]
                tokens.append(np.array([(weights * cut).sum() for weights in kernel]) + bias)
        positions = self.state["beit3.encoder.embed_positions.A.weight"]
        return [token + positions[2 + place] for place, token in enumerate(tokens)]

    def text(self, numbers: list[int]) -> list[np.ndarray]:
        words, positions = self.state["beit3.text_embed.weight"], self.state["beit3.encoder.embed_positions.B.weight"]
        return [words[number] + positions[2 + place] for place, number in enumerate(numbers)]

    def layer(self, i: int, tokens: list[np.ndarray], branches: str) -> list[np.ndarray]:
        at = f"beit3.encoder.layers.{i}"
        y = [self.norm(f"{at}.self_attn_layer_norm.{b}", x) for x, b in zip(tokens, branches, strict=True)]
        q, k, v = (
            [self.linear(f"{at}.self_attn.{name}.{b}", x) for x, b in zip(y, branches, strict=True)]
            for name in ("q_proj", "k_proj", "v_proj")
        )
        size = len(q[0]) // self.heads
        out = []
        for place, (x, b) in enumerate(zip(tokens, branches, strict=True)):
            mixed = np.zeros(len(x))
            for head in range(self.heads):
                part = slice(head * size, (head + 1) * size)
                weights = np.exp([q[place][part] @ other[part] / math.sqrt(size) for other in k])
                for weight, value in zip(weights / weights.sum(), v, strict=True):
                    mixed[part] += weight * value[part]
            x = x + self.linear(f"{at}.self_attn.out_proj.{b}", self.norm(f"{at}.self_attn.inner_attn_ln.{b}", mixed))
            inner = self.linear(f"{at}.ffn.{b}.fc1", self.norm(f"{at}.final_layer_norm.{b}", x))
            inner = self.norm(f"{at}.ffn.{b}.ffn_layernorm", inner * 0.5 * (1 + erf(inner / math.sqrt(2))))
            out.append(x + self.linear(f"{at}.ffn.{b}.fc2", inner))
        return out

    def finish(self, tokens: list[np.ndarray], branches: str) -> list[np.ndarray]:
        return [self.norm(f"beit3.encoder.layer_norm.{b}", x) for x, b in zip(tokens, branches, strict=True)]


def as_arrays(model: torch.nn.Module) -> Arrays:
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("route", ["image", "text", "joint"])
def test_every_layer_equals_a_literal_derivation(route: str) -> None:
    model = random_model(TINY)
    batch = random_batch(2)
    batch = Batch(batch.pixels, batch.tokens, torch.arange(7) < torch.tensor([[7], [4]]))
    literal = Literal(as_arrays(model), TINY.heads)
    states = list(model.states(route, batch))
    states.append(model.finish(route, states[-1], batch))
    for item, length in enumerate((7, 4)):
        image = literal.image(batch.need_pixels()[item].numpy(), TINY.patch) if route != "text" else []
        text = literal.text(batch.need_tokens()[item, :length].tolist()) if route != "image" else []
        tokens, branches = image + text, "A" * len(image) + "B" * len(text)
        for depth, state in enumerate(states):
            np.testing.assert_allclose(state[item, : len(tokens)], tokens, rtol=0, atol=1e-10)
            if depth < TINY.depth:
                tokens = literal.layer(depth, tokens, branches)
            elif depth == TINY.depth:
                tokens = literal.finish(tokens, branches)


def test_the_heads_equal_a_literal_derivation() -> None:
    model = random_model(TINY)
    state = as_arrays(model)
    batch = random_batch(2)
    wanted = {
        Layer("visual", "itc"): Output("image", head="itc"),
        Layer("textual", "itc"): Output("text", head="itc"),
        Layer("visual", "joint_pooled"): Output("joint", pooling="start", head="pooler"),
    }
    visual, textual, pooled = read_layers(model, batch, wanted).values()
    literal = Literal(state, TINY.heads)
    for item in range(2):
        for found, route, head in ((visual, "image", "vision_head"), (textual, "text", "language_head")):
            projected = state[f"{head}.weight"] @ final(model, route, batch)[item, 0].numpy()
            np.testing.assert_allclose(found[item], projected / math.sqrt((projected**2).sum()), atol=1e-12)
        first = literal.norm("pooler.norm", final(model, "joint", batch)[item, 0].numpy())
        np.testing.assert_allclose(pooled[item], np.tanh(literal.linear("pooler.dense", first)), atol=1e-12)


def test_the_vision_branch_equals_timms() -> None:
    timm = pytest.importorskip("timm", reason="timm is an extra; its BEiT-3 vision branch is compared where it is")
    from timm.models.vision_transformer import checkpoint_filter_fn

    sizes = Sizes(width=64, depth=3, heads=4, hidden=128, patch=8, grid=4, vocabulary=20, longest=8)
    model = random_model(sizes).float()
    theirs = timm.create_model(
        "beit3_base_patch16_224", pretrained=False, img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=4,
        mlp_ratio=2, num_classes=0, global_pool="token",
    ).eval()  # fmt: skip
    converted = checkpoint_filter_fn({"model": dict(model.state_dict())}, theirs)
    # its converter leaves the last LayerNorm under BEiT-3's name (specification part 2.3)
    theirs.load_state_dict({name.replace("layer_norm.", "norm."): value for name, value in converted.items()})
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = theirs.forward_features(pixels)
        found = final(model, "image", Batch(pixels))
    assert (expected - found).abs().max() < 2e-5
    assert found.std() > 0.5


# ---------------------------------------------------------------------------------------------------------------
# what must not matter
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["text", "joint"])
@pytest.mark.parametrize("pooling", ["own", "mean"])
def test_padding_changes_nothing(route: str, pooling: str) -> None:
    model, batch = random_model(TINY), random_batch(3, 5)
    wanted = {TEXT: Output(route, pooling=pooling), Layer("textual", "2"): Output(route, depth=2)}  # type: ignore[arg-type]
    if route == "joint":
        wanted[CLS] = Output(route, pooling=pooling)  # type: ignore[arg-type]
    bare = read_layers(model, batch, wanted)
    for filler in (1, 17):
        tokens = torch.nn.functional.pad(batch.need_tokens(), (0, 6), value=filler)
        keep = (torch.arange(11) < 5).expand(3, -1)
        padded = read_layers(model, Batch(batch.pixels, tokens, keep), wanted)
        for layer, values in bare.items():
            torch.testing.assert_close(padded[layer], values, rtol=0, atol=1e-12)


def test_an_item_alone_is_the_item_in_a_batch() -> None:
    model, batch = random_model(TINY), random_batch(4)
    wanted = {
        CLS: Output("joint"),
        TEXT: Output("joint", pooling="mean"),
        Layer("visual", "1"): Output("image", depth=1),
    }
    together = read_layers(model, batch, wanted)
    for item in range(4):
        one = slice(item, item + 1)
        alone = read_layers(model, Batch(batch.need_pixels()[one], batch.need_tokens()[one]), wanted)
        for layer, values in alone.items():
            torch.testing.assert_close(values[0], together[layer][item], rtol=0, atol=1e-12)


def test_only_a_joint_pass_mixes_the_sides() -> None:
    model, batch = random_model(TINY), random_batch()
    other = Batch(batch.pixels, (batch.need_tokens() + 1) % TINY.vocabulary)
    for route, mixes in (("image", False), ("joint", True)):
        before, after = (read_layers(model, inputs, {CLS: Output(route)})[CLS] for inputs in (batch, other))
        assert (float((before - after).abs().max()) > 1e-3) is mixes


def test_a_pass_goes_no_deeper_than_asked() -> None:
    model, batch = random_model(TINY), random_batch()
    seen: list[int] = []
    for number, layer in enumerate(model.beit3.encoder.layers):
        layer.register_forward_hook(lambda *_, number=number: seen.append(number))
    several = {Layer("visual", str(depth)): Output("image", depth=depth) for depth in (0, 2)}
    read_layers(model, batch, several)
    assert seen == [0, 1]
    read_layers(model, batch, {**several, CLS: Output("image")})
    assert seen == [0, 1, 0, 1, 2]  # one pass for all of them


def test_half_precision_stays_near() -> None:
    batch, model = random_batch(), random_model(TINY).float()
    batch = Batch(batch.need_pixels().float(), batch.tokens, torch.arange(7) < torch.tensor([[7], [4], [5]]))
    wanted = {CLS: Output("joint", head="itc"), TEXT: Output("joint", pooling="mean")}
    exact = read_layers(model, batch, wanted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = read_layers(model, batch, wanted)
    for layer, values in exact.items():
        assert float((rough[layer].float() - values).abs().max() / values.abs().max()) < 0.03
