"""What a network is trained to make small, over all training pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.models import (
    ArithmeticNetwork,
    GrokTransformer,
    Routed,
    distinct_prefixes,
)
from hdlib.tasks import Pairs
from hdlib.training import (
    cross_entropy_float64,
    logits_of,
    low_frequency_share,
    routing_consistency,
    routing_entropy,
    routing_gini,
    routing_sparsity,
    squared_jacobian_norm,
)


def cross_entropy(outputs: object, targets: Tensor) -> Tensor:
    """Mean cross-entropy of what any of the networks returns."""
    return F.cross_entropy(logits_of(outputs), targets)


def encode(config: LeastActionConfig, pairs: Pairs) -> Tensor:
    """Pairs as the network takes them: tokens (n, 4), or one-hot vectors (n, 2p)."""
    if config.transformer:
        return pairs.tokens_with_operation()
    return pairs.one_hot()


def prepared(config: LeastActionConfig, pairs: Pairs, device: torch.device) -> Any:
    """The same, with each prefix once where attention is causal (`distinct_prefixes`)."""
    inputs = encode(config, pairs).to(device)
    shared = inputs.dtype == torch.int64 and config.mask == "causal"
    return distinct_prefixes(inputs) if shared else inputs


def continuous(
    model: ArithmeticNetwork, inputs: Tensor
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Logits as a function of real numbers, and those of some inputs.

    The embeddings (n, 4, d) of a transformer; of other networks one-hot vectors (n, 2p).
    """
    if isinstance(model, GrokTransformer):
        return lambda x: logits_of(model.from_embeddings(x)), model.embed(inputs)
    return lambda x: logits_of(model(x)), inputs


class Terms(NamedTuple):
    """The parts of the loss, each without its factor; None where it is not part of it."""

    cross_entropy: Tensor
    routing: Tensor | None
    spectral: Tensor | None
    jacobian: Tensor | None


class TrainedLoss:
    """Cross-entropy + λ_routing · R + λ_spectral · (1 − low-frequency share) + λ_jacobian · ‖J‖².

    R is the entropy, the sparsity, the Gini index or the consistency of the routing weights, the
    share is of the logits' power over all pairs (its mean over the operations, where there are
    two), and ‖J‖² the squared norm of the logits' Jacobian by the inputs (`continuous`).

    Args:
        config: factors, and which R.
        device: where the network is.
    """

    def __init__(self, config: LeastActionConfig, device: torch.device) -> None:
        self._config = config
        task = config.task
        self.targets = task.train.targets.to(device)
        self._inputs = encode(config, task.train).to(device)
        self._train = prepared(config, task.train, device)
        self._grid = prepared(config, task.grid, device)

    def __call__(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """The loss of a step, over all training pairs: they are the batch."""
        assert isinstance(model, ArithmeticNetwork)
        return self.total(self.terms(model))

    def total(self, terms: Terms) -> Tensor:
        """The loss from its parts."""
        config, total = self._config, terms.cross_entropy
        for factor, term in (
            (config.lambda_routing, terms.routing),
            (config.lambda_spectral, terms.spectral),
            (config.lambda_jacobian, terms.jacobian),
        ):
            if term is not None:
                total = total + factor * term
        return total

    def terms(self, model: ArithmeticNetwork) -> Terms:
        """The parts of the loss."""
        config = self._config
        outputs = model(self._train)
        loss = cross_entropy_float64 if config.softmax == "float64" else F.cross_entropy
        return Terms(
            loss(logits_of(outputs), self.targets),
            self._routing(model, outputs) if config.lambda_routing else None,
            1 - self.low_frequencies(self.grid_logits(model)) if config.lambda_spectral else None,
            self._jacobian(model) if config.lambda_jacobian else None,
        )

    def grid_logits(self, model: ArithmeticNetwork) -> Tensor:
        """Logits of all pairs, (operations, p, p, p)."""
        p = self._config.p
        return logits_of(model(self._grid)).view(-1, p, p, p)

    def grid_outputs(self, model: ArithmeticNetwork) -> object:
        """What the network returns for all pairs."""
        return model(self._grid)

    def low_frequencies(self, logits: Tensor) -> Tensor:
        """Share of low frequencies in logits of all pairs, (operations, p, p, p)."""
        k = self._config.low_radius
        return torch.stack([low_frequency_share(part, k) for part in logits]).mean()

    def _routing(self, model: ArithmeticNetwork, outputs: object) -> Tensor:
        assert isinstance(outputs, Routed)
        match self._config.routing_regularizer:
            case "entropy":
                return routing_entropy(outputs.weights)
            case "sparsity":
                return routing_sparsity(outputs.weights)
            case "gini":
                return routing_gini(outputs.weights)
            case _:
                _, inputs = continuous(model, self._inputs)
                return routing_consistency(outputs.weights, inputs.flatten(1))

    def _jacobian(self, model: ArithmeticNetwork) -> Tensor:
        function, inputs = continuous(model, self._inputs)
        return squared_jacobian_norm(function, inputs, probes=self._config.jacobian_probes)
