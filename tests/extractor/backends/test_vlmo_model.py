"""VLMo against its specification: names and shapes, relative positions, a literal derivation; what must not matter."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.special import erf

from extractor.backends.beit3.reading import Batch, read_layers
from extractor.backends.beit3.unified import Output
from extractor.backends.vlmo.model import BASE, BASE_PLUS, LARGE, Sizes, Vlmo
from extractor.backends.vlmo.positions import joint_index, table_rows
from extractor.layers import Layer

RELATIVE = Sizes(
    width=32, depth=3, heads=4, hidden=48, joint_from=2, relative=True, scaled=True, patch=4, grid=2, vocabulary=50
)
ABSOLUTE = Sizes(
    width=36, depth=3, heads=2, hidden=40, joint_from=1, relative=False, scaled=False, patch=4, grid=2, vocabulary=50,
    longest=12,
)  # fmt: skip
BOTH = pytest.mark.parametrize("sizes", [RELATIVE, ABSOLUTE], ids=["relative", "absolute"])
ROUTES = ("text", "image", "text_vl", "image_vl", "joint")
CLS, TEXT = Layer("visual", "cls"), Layer("textual", "cls")
Arrays = Mapping[str, np.ndarray]


def random_model(sizes: Sizes) -> Vlmo:
    """Every weight, bias and norm away from its neutral value; float64."""
    torch.manual_seed(0)
    model = Vlmo(sizes).double().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(parameter * 0.5 + 0.1 * torch.randn_like(parameter))
    return model


def random_batch(count: int = 3, length: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(count, 3, 8, 8, generator=generator, dtype=torch.float64)
    return Batch(pixels, torch.randint(0, 50, (count, length), generator=generator))


# ---------------------------------------------------------------------------------------------------------------
# the specification's tables
# ---------------------------------------------------------------------------------------------------------------


def table(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes, as part 2.2 of the specification lists them (without pre-training heads and buffers)."""
    d = sizes.width

    def pair(name: str, out: int, *inner: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (out, *inner), f"{name}.bias": (out,)}

    shapes: dict[str, tuple[int, ...]] = {
        "transformer.cls_token": (1, 1, d),
        **pair("transformer.patch_embed.proj", d, 3, 16, 16),
        **pair("transformer.norm", d),
        "text_embeddings.word_embeddings.weight": (30522, d),
        "text_embeddings.token_type_embeddings.weight": (2, d),
        **pair("text_embeddings.LayerNorm", d),
        "token_type_embeddings.weight": (2, d),
        **pair("pooler.dense", d, d),
    }
    for kind in ("itc", "itc_vl"):
        shapes |= {f"{kind}_{side}_proj.fc.weight": (d, d) for side in ("text", "image")}
    if sizes.relative:
        shapes["relative_position_bias_table"] = (1126, sizes.heads * sizes.depth)
    else:
        shapes["transformer.pos_embed"] = (1, 197, d)
        shapes["text_embeddings.position_embeddings.weight"] = (40, d)
    for i in range(sizes.depth):
        at = f"transformer.blocks.{i}"
        shapes |= {f"{at}.attn.qkv.weight": (3 * d, d), f"{at}.attn.q_bias": (d,), f"{at}.attn.v_bias": (d,)}
        shapes |= pair(f"{at}.attn.proj", d, d) | pair(f"{at}.norm1", d)
        for expert in ("text", "imag", *(("vl",) if i >= sizes.joint_from else ())):
            shapes |= pair(f"{at}.norm2_{expert}", d)
            shapes |= pair(f"{at}.mlp_{expert}.fc1", sizes.hidden, d) | pair(f"{at}.mlp_{expert}.fc2", d, sizes.hidden)
        if sizes.scaled:
            shapes |= {f"{at}.gamma_1": (d,), f"{at}.gamma_2": (d,)}
    return shapes


@pytest.mark.parametrize(
    ("sizes", "millions"), [(BASE, 151.8), (BASE_PLUS, 149.9), (LARGE, 529.8)], ids=["base", "base_plus", "large"]
)
def test_names_shapes_and_number_of_parameters_are_the_published_ones(sizes: Sizes, millions: float) -> None:
    with torch.device("meta"):
        model = Vlmo(sizes)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == table(sizes)
    assert round(sum(parameter.numel() for parameter in model.transformer.parameters()) / 1e6, 1) == millions


def row(query: int, key: int, words: int, grid: int) -> int:
    """The row of the bias table for a pair of places in [text; image], word for word as specified."""
    width = 2 * grid - 1
    image = width**2 + 3
    if (query < words) != (key < words):
        return image if query < words else image + 1
    if query < words:
        if query and key:
            return (key - query) + 194 + image + 2
        last = image + 2 + 2 * 196 - 3
        return last + 2 if query == key == 0 else last if query == 0 else last + 1
    query, key = query - words, key - words
    if query and key:
        (y, x), (other_y, other_x) = divmod(query - 1, grid), divmod(key - 1, grid)
        return (y - other_y + grid - 1) * width + x - other_x + grid - 1
    return width**2 + (2 if query == key == 0 else 0 if query == 0 else 1)


@pytest.mark.parametrize(("words", "grid"), [(5, 3), (40, 14), (196, 2)])
def test_relative_positions_are_the_specified_ones(words: int, grid: int) -> None:
    index = joint_index(words, grid)
    count = words + 1 + grid**2
    places = range(count) if count < 210 else [*range(0, count, 9), words - 1, words, words + 1, count - 1]
    for query in places:
        for key in places:
            assert index[query, key] == row(query, key, words, grid), (query, key)
    assert table_rows(14) == 1126


def test_the_longest_text_uses_the_whole_table() -> None:
    index = joint_index(196, 14)
    assert torch.equal(index.unique(), torch.arange(1126))
    assert index[196:, 196:].max() == 731  # the rows of the image, as in BEiT


# ---------------------------------------------------------------------------------------------------------------
# a literal derivation, one token and one head at a time
# ---------------------------------------------------------------------------------------------------------------


class Literal:
    """Part 2.2 of the specification in loops over tokens and heads; padding simply is not there."""

    def __init__(self, state: Arrays, sizes: Sizes) -> None:
        self.state, self.sizes = state, sizes

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.state[f"{name}.weight"] @ x + self.state[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray, epsilon: float = 1e-6) -> np.ndarray:
        centred = x - x.mean()
        scaled = centred / math.sqrt((centred**2).mean() + epsilon)
        return scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def image(self, pixels: np.ndarray) -> list[np.ndarray]:
        kernel, patch = self.state["transformer.patch_embed.proj.weight"], self.sizes.patch
        tokens = [self.state["transformer.cls_token"][0, 0]]
        for top in range(0, pixels.shape[1], patch):
            for left in range(0, pixels.shape[2], patch):
                cut = pixels[:, top : top + patch, left : left + patch]
                flat = np.array([(weights * cut).sum() for weights in kernel])
                tokens.append(flat + self.state["transformer.patch_embed.proj.bias"])
        if not self.sizes.relative:
            tokens = [token + self.state["transformer.pos_embed"][0, i] for i, token in enumerate(tokens)]
        return [token + self.state["token_type_embeddings.weight"][1] for token in tokens]

    def text(self, numbers: list[int]) -> list[np.ndarray]:
        tokens = []
        for place, number in enumerate(numbers):
            token = self.state["text_embeddings.word_embeddings.weight"][number]
            token = token + self.state["text_embeddings.token_type_embeddings.weight"][0]
            if not self.sizes.relative:
                token = token + self.state["text_embeddings.position_embeddings.weight"][place]
            token = self.norm("text_embeddings.LayerNorm", token, 1e-12)
            tokens.append(token + self.state["token_type_embeddings.weight"][0])
        return tokens

    def expert(self, route: str, layer: int, place: int, words: int) -> str:
        if layer >= self.sizes.joint_from and route in ("joint", "text_vl", "image_vl"):
            return "vl"
        return "text" if place < words else "imag"

    def layer(self, i: int, tokens: list[np.ndarray], route: str, words: int) -> list[np.ndarray]:
        at, heads, d = f"transformer.blocks.{i}", self.sizes.heads, self.sizes.width
        size = d // heads
        weights, q_bias, v_bias = (self.state[f"{at}.attn.{name}"] for name in ("qkv.weight", "q_bias", "v_bias"))
        y = [self.norm(f"{at}.norm1", x) for x in tokens]
        q = [weights[:d] @ x + q_bias for x in y]
        k = [weights[d : 2 * d] @ x for x in y]
        v = [weights[2 * d :] @ x + v_bias for x in y]
        ones = np.ones(d)
        gamma_1, gamma_2 = self.state.get(f"{at}.gamma_1", ones), self.state.get(f"{at}.gamma_2", ones)
        out = []
        for place, x in enumerate(tokens):
            mixed = np.zeros(d)
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                scores = np.array([q[place][part] @ other[part] / math.sqrt(size) for other in k])
                if self.sizes.relative:
                    column = self.state["relative_position_bias_table"][:, i * heads + head]
                    rows = [row(place, other, words, self.sizes.grid) for other in range(len(tokens))]
                    scores = scores + column[rows]
                shares = np.exp(scores)
                for share, value in zip(shares / shares.sum(), v, strict=True):
                    mixed[part] += share * value[part]
            x = x + gamma_1 * self.linear(f"{at}.attn.proj", mixed)
            m = self.expert(route, i, place, words)
            inner = self.linear(f"{at}.mlp_{m}.fc1", self.norm(f"{at}.norm2_{m}", x))
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            out.append(x + gamma_2 * self.linear(f"{at}.mlp_{m}.fc2", inner))
        return out


def as_arrays(model: torch.nn.Module) -> Arrays:
    return {name: value.numpy() for name, value in model.state_dict().items()}


@BOTH
@pytest.mark.parametrize("route", ROUTES)
def test_every_layer_equals_a_literal_derivation(sizes: Sizes, route: str) -> None:
    model = random_model(sizes)
    batch = random_batch(2)
    batch = Batch(batch.pixels, batch.tokens, torch.arange(7) < torch.tensor([[7], [4]]))
    literal = Literal(as_arrays(model), sizes)
    states = list(model.states(route, batch))
    states.append(model.finish(route, states[-1], batch))
    for item, length in enumerate((7, 4)):
        text = literal.text(batch.need_tokens()[item, :length].tolist()) if "image" not in route else []
        tokens = text + (literal.image(batch.need_pixels()[item].numpy()) if "text" not in route else [])
        kept = [*range(len(text)), *(range(7, 12) if route == "joint" else range(len(text), len(tokens)))]
        for depth, state in enumerate(states):
            np.testing.assert_allclose(state[item, kept], tokens, rtol=0, atol=1e-10)
            if depth < sizes.depth:
                tokens = literal.layer(depth, tokens, route, len(text))
            elif depth == sizes.depth:
                tokens = [literal.norm("transformer.norm", x) for x in tokens]


def test_the_heads_equal_a_literal_derivation() -> None:
    model, batch = random_model(RELATIVE), random_batch(2)
    state = as_arrays(model)

    def first(route: str, item: int) -> np.ndarray:
        *_, last = model.states(route, batch)
        values: np.ndarray = model.finish(route, last, batch)[item, 0].numpy()
        return values

    for side, own, name in (("visual", "image", "image"), ("textual", "text", "text")):
        for head, route in (("itc", own), ("itc_vl", f"{own}_vl")):
            layer = Layer(side, head)
            found = read_layers(model, batch, {layer: Output(route, head=head)})[layer]
            for item in range(2):
                projected = state[f"{head}_{name}_proj.fc.weight"] @ first(route, item)
                np.testing.assert_allclose(found[item], projected / math.sqrt((projected**2).sum()), atol=1e-12)
    pooled = read_layers(model, batch, {CLS: Output("joint", pooling="start", head="pooler")})[CLS]
    for item in range(2):
        dense = Literal(state, RELATIVE).linear("pooler.dense", first("joint", item))
        np.testing.assert_allclose(pooled[item], np.tanh(dense), atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------
# what must not matter
# ---------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("route", ["text", "text_vl", "joint"])
def test_padding_changes_nothing(sizes: Sizes, route: str) -> None:
    model, batch = random_model(sizes), random_batch(3, 5)
    wanted = {TEXT: Output(route), Layer("textual", "mean"): Output(route, pooling="mean")}
    if route == "joint":
        wanted |= {CLS: Output(route), Layer("visual", "mean"): Output(route, pooling="mean")}
    bare = read_layers(model, batch, wanted)
    for filler in (0, 17):
        tokens = torch.nn.functional.pad(batch.need_tokens(), (0, 6), value=filler)
        keep = (torch.arange(11) < 5).expand(3, -1)
        padded = read_layers(model, Batch(batch.pixels, tokens, keep), wanted)
        for layer, values in bare.items():
            torch.testing.assert_close(padded[layer], values, rtol=0, atol=1e-12)


@BOTH
def test_an_item_alone_is_the_item_in_a_batch(sizes: Sizes) -> None:
    model, batch = random_model(sizes), random_batch(4)
    wanted = {CLS: Output("joint"), TEXT: Output("text_vl"), Layer("visual", "1"): Output("image", depth=1)}
    together = read_layers(model, batch, wanted)
    for item in range(4):
        one = slice(item, item + 1)
        alone = read_layers(model, Batch(batch.need_pixels()[one], batch.need_tokens()[one]), wanted)
        for layer, values in alone.items():
            torch.testing.assert_close(values[0], together[layer][item], rtol=0, atol=1e-12)


def test_only_a_joint_pass_mixes_the_sides() -> None:
    model, batch = random_model(RELATIVE), random_batch()
    other = Batch(batch.pixels, (batch.need_tokens() + 1) % 50)
    for route, mixes in (("image", False), ("image_vl", False), ("joint", True)):
        before, after = (read_layers(model, inputs, {CLS: Output(route)})[CLS] for inputs in (batch, other))
        assert (float((before - after).abs().max()) > 1e-3) is mixes


@BOTH
def test_half_precision_stays_near(sizes: Sizes) -> None:
    batch, model = random_batch(), random_model(sizes).float()
    batch = Batch(batch.need_pixels().float(), batch.tokens, torch.arange(7) < torch.tensor([[7], [4], [5]]))
    wanted = {CLS: Output("joint"), TEXT: Output("joint", pooling="mean")}
    exact = read_layers(model, batch, wanted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = read_layers(model, batch, wanted)
    for layer, values in exact.items():
        assert float((rough[layer].float() - values).abs().max() / values.abs().max()) < 0.03
