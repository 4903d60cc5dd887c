"""The factored transformer against the plain one, and that against PyTorch's own attention."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.models import ModularTransformer, PlainTransformer
from hdlib.tasks import Pairs, modular_task

TOLERANCE = 1e-12
OPTIONS = [
    {
        "activation": activation,
        "mlp_width": mlp_width,
        "equals_logit": equals_logit,
        "n_heads": n_heads,
        "init_scale": init_scale,
    }
    for activation, mlp_width, equals_logit, n_heads, init_scale in product(
        ["none", "relu"], [0, 48], [False, True], [1, 4], [1.0, 3.0]
    )
]
OPTIONS += [option | {"attention": "uniform"} for option in OPTIONS[::4]]


def label(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


def pairs_of(p: int) -> Pairs:
    return modular_task(p, train_fraction=0.5, seed=0).grid


def models(p: int, seed: int = 0, **options) -> tuple[ModularTransformer, PlainTransformer]:
    """Both kinds with the same weights, in float64."""
    torch.manual_seed(seed)
    plain = PlainTransformer(p, **options).double()
    for name, parameter in plain.named_parameters():
        # Biases start at 0, where a forgotten one would not be seen.
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    factored = ModularTransformer(p, **options).double()
    factored.load_state_dict(plain.state_dict())
    return factored, plain


def distance(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float(((found - expected).norm() / expected.norm()).detach())


def test_attention_is_the_softmax_of_scores():
    model, _ = models(11, width=12, n_heads=3)
    tokens = pairs_of(11).tokens()
    x = model.embedding[tokens] + model.position
    query = (x[:, 2] @ model.get_parameter("query")).view(-1, 3, 4)
    keys = (x @ model.get_parameter("key")).view(-1, 3, 3, 4)
    scores = torch.einsum("nhe,nihe->inh", query, keys) / 2
    found = model.attention(tokens)
    assert distance(found, torch.softmax(scores, 0)) < 1e-14
    with pytest.raises(ValueError, match=r"tokens have shape \(3,\), expected \(n, 3\)"):
        model.attention(tokens[0])


def by_pytorch(model: ModularTransformer, tokens: Tensor) -> Tensor:
    """Logits by `torch.nn.MultiheadAttention` and, for the MLP, by plain matrix algebra."""
    width = model.embedding.shape[1]
    attention = nn.MultiheadAttention(width, model.n_heads, bias=False, batch_first=True).double()
    nothing = torch.zeros(width, width).double()
    query, key = (nothing if part is None else part.T for part in (model.query, model.key))
    with torch.no_grad():
        # Its matrices act from the left, and those of queries, keys and values are stacked.
        attention.in_proj_weight.copy_(torch.cat([query, key, model.value.T]))
        attention.out_proj.weight.copy_(model.output.T)
    x = model.embedding[tokens] + model.position[None]
    r = (x + attention(x, x, x, need_weights=False)[0])[:, 2]
    if model.activation == "relu":
        r = r.clamp(min=0)
    weights = model.state_dict()
    if "mlp.0.weight" in weights:
        hidden = torch.einsum("hd,nd->nh", weights["mlp.0.weight"], r) + weights["mlp.0.bias"]
        after = torch.einsum("dh,nh->nd", weights["mlp.2.weight"], hidden.clamp(min=0))
        r = r + after + weights["mlp.2.bias"]
    return torch.einsum("cd,nd->nc", model.unembedding, r)


def derivatives(model: ModularTransformer, pairs: Pairs, direction: list[Tensor]):
    """Gradient of the mean cross-entropy, and its Hessian's product with ``direction``."""
    parameters = list(model.parameters())
    loss = F.cross_entropy(model(pairs.tokens()), pairs.targets)
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    slope = sum((g * v).sum() for g, v in zip(gradient, direction, strict=True))
    assert isinstance(slope, Tensor)
    return gradient, torch.autograd.grad(slope, parameters)


@pytest.mark.parametrize("options", OPTIONS, ids=label)
class TestEveryOption:
    p, width = 7, 12

    def test_plain_equals_pytorch(self, options):
        _, plain = models(self.p, width=self.width, **options)
        tokens = pairs_of(self.p).tokens()
        logits = plain(tokens)
        assert logits.shape == (49, self.p + options["equals_logit"])
        assert distance(logits, by_pytorch(plain, tokens)) < TOLERANCE

    def test_factored_equals_plain(self, options):
        factored, plain = models(self.p, width=self.width, **options)
        pairs = pairs_of(self.p)
        assert distance(factored(pairs.tokens()), plain(pairs.tokens())) < TOLERANCE
        direction = [torch.randn_like(parameter) for parameter in plain.parameters()]
        gradients, products = zip(
            *(derivatives(model, pairs, direction) for model in (factored, plain)), strict=True
        )
        for found, expected in (gradients, products):
            assert all(part.norm() > 0 for part in expected)
            for part, whole in zip(found, expected, strict=True):
                # A tensor's error counts against the whole: that of a small one is rounding.
                assert (part - whole).norm() < TOLERANCE * torch.cat(
                    [other.flatten() for other in expected]
                ).norm()

    def test_rows_do_not_depend_on_the_batch(self, options):
        factored, _ = models(self.p, width=self.width, **options)
        tokens = pairs_of(self.p).tokens()
        whole = factored(tokens)
        for part in (slice(0, 1), slice(13, 30), slice(48, 49)):
            assert distance(factored(tokens[part]), whole[part]) < TOLERANCE
        order = torch.randperm(49)
        assert distance(factored(tokens[order]), whole[order]) < TOLERANCE
        assert factored(tokens[:0]).shape == (0, whole.shape[1])


@pytest.mark.parametrize(
    "options", [{"activation": "relu"}, {"mlp_width": 512, "equals_logit": True}], ids=label
)
def test_full_size(options):
    factored, plain = models(113, **options)
    tokens = pairs_of(113).tokens()
    some = torch.arange(0, len(tokens), 10)
    with torch.no_grad():
        expected = plain(tokens[some])
        assert distance(factored(tokens)[some], expected) < TOLERANCE
        assert distance(factored.float()(tokens)[some].double(), expected) < 1e-5


@pytest.mark.parametrize("scale", [50.0, 1e3])
def test_large_scores(scale):
    """Scores whose exponentials overflow, or vanish, unless each pair's largest is subtracted."""
    factored, plain = models(7, width=12, init_scale=scale)
    pairs = pairs_of(7)
    with torch.no_grad():
        assert factored.tables().scores_a.abs().max() > 500
    assert factored(pairs.tokens()).isfinite().all()
    assert distance(factored(pairs.tokens()), by_pytorch(plain, pairs.tokens())) < TOLERANCE
    direction = [torch.randn_like(parameter) for parameter in plain.parameters()]
    for parts in derivatives(factored, pairs, direction):
        assert all(part.isfinite().all() for part in parts)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 94_976),
        ({"activation": "relu"}, 94_976),
        ({"mlp_width": 512, "equals_logit": True}, 226_816),
        ({"width": 32, "n_heads": 1}, 11_456),
        ({"attention": "uniform"}, 62_208),
    ],
)
def test_parameter_counts(options, count):
    for kind in (ModularTransformer, PlainTransformer):
        assert sum(parameter.numel() for parameter in kind(113, **options).parameters()) == count


def test_initial_weights():
    torch.manual_seed(0)
    model = ModularTransformer(113, mlp_width=512, init_scale=3.0)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
            continue
        expected = (3.0 if name in ("embedding", "position") else 1.0) * 128**-0.5
        # Five standard errors of a standard deviation of normal numbers.
        tolerance = 5 / (2 * parameter.numel()) ** 0.5
        assert parameter.detach().std().item() == pytest.approx(expected, rel=tolerance), name


def test_matrices_of_a_uniform_start():
    torch.manual_seed(0)
    model = ModularTransformer(113, mlp_width=512, init_scale=128**0.5, matrix_start="uniform")
    for name, parameter in model.named_parameters():
        if name in ("embedding", "position"):
            assert parameter.detach().std().item() == pytest.approx(1, rel=0.2), name
        elif not name.endswith("bias"):
            bound = 128**-0.5
            assert parameter.abs().max() <= bound
            assert parameter.abs().max().item() == pytest.approx(bound, rel=0.01), name
            expected = bound / 3**0.5
            assert parameter.detach().std().item() == pytest.approx(expected, rel=0.02), name


def test_uniform_attention_does_not_depend_on_the_pair_or_the_number_of_heads():
    one, four = (
        models(7, width=12, attention="uniform", activation="relu", n_heads=n)[0] for n in (1, 4)
    )
    tokens = pairs_of(7).tokens()
    torch.testing.assert_close(
        four.attention(tokens), torch.full((3, 49, 4), 1 / 3, dtype=torch.float64)
    )
    assert distance(one(tokens), four(tokens)) < TOLERANCE
    with pytest.raises(ValueError, match="attention is uniform: there are no queries"):
        one.queries()


def test_initial_weights_depend_on_the_seed_alone():
    def weights(seed: int, **options):
        torch.manual_seed(seed)
        return ModularTransformer(7, width=12, **options).state_dict()

    first = weights(0)
    assert all(torch.equal(value, first[name]) for name, value in weights(0).items())
    assert not any(torch.equal(value, first[name]) for name, value in weights(1).items())
    larger = weights(0, init_scale=2.0)
    assert torch.equal(larger["embedding"], 2 * first["embedding"])
    assert torch.equal(larger["query"], first["query"])


def test_the_order_of_the_summands_matters():
    """Positions are embedded: the network has to learn that addition commutes."""
    factored, _ = models(7, width=12)
    tokens = pairs_of(7).tokens()
    assert distance(factored(tokens), factored(tokens[:, [1, 0, 2]])) > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1}, "p=1: must be at least 2"),
        ({"width": 0}, "width=0: must be at least 1"),
        ({"width": 30}, "n_heads=4: must be a divisor of the width, which is 30"),
        ({"n_heads": 0}, "n_heads=0: must be a divisor of the width, which is 128"),
        ({"n_heads": -4}, "n_heads=-4: must be a divisor"),
        ({"activation": "gelu"}, "activation is 'gelu'; allowed are none, relu"),
        ({"attention": "hard"}, "attention is 'hard'; allowed are softmax, uniform"),
        ({"matrix_start": "zero"}, "matrix_start is 'zero'; allowed are normal, uniform"),
        ({"mlp_width": -1}, "mlp_width=-1: must not be negative"),
        ({"init_scale": 0.0}, "init_scale=0.0: must be positive"),
        ({"init_scale": float("nan")}, "init_scale=nan: must be positive and finite"),
        ({"init_scale": float("inf")}, "init_scale=inf: must be positive and finite"),
    ],
)
def test_impossible_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ModularTransformer(**{"p": 7} | options)


def test_sequences_of_another_length():
    factored, plain = models(7, width=12)
    for model in (factored, plain):
        with pytest.raises(ValueError, match=r"tokens have shape \(49, 4\), expected \(n, 3\)"):
            model(pairs_of(7).tokens_with_operation())
        with pytest.raises(ValueError, match=r"tokens have shape \(3,\), expected \(n, 3\)"):
            model(pairs_of(7).tokens()[0])
