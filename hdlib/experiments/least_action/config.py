"""What the least-action experiment trains: one network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from hdlib.models import Architecture, ArithmeticNetwork, Initial, Mask, create_model
from hdlib.store import Config
from hdlib.tasks import ModularTask, Operation, is_prime, modular_task
from hdlib.training import seeded

LARGEST_P = 1_000
LARGEST_WIDTH = 10_000
MOST_LAYERS = 100
MOST_STEPS = 10_000_000
MOST_EIGENPAIRS = 100
LARGEST_SEED = 2**63 - 1

Optimizer = Literal["adamw", "adam", "sgd"]
Regularizer = Literal["none", "entropy", "sparsity", "gini", "consistency"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Size = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]


class LeastActionConfig(Config):
    """One network: the task, what it is, how it learns, and what is measured.

    A field that the network, its optimiser or its loss would not read has its default; but for the
    number of heads, which networks without heads ignore.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    experiment: ClassVar[str] = "least-action"

    p: Annotated[int, Field(ge=3, le=LARGEST_P)] = 17
    """Modulus, an odd prime."""
    operation: Operation = "add"
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    unordered: bool = False
    """Whether (a, b) and (b, a) are always on one side of the split."""
    data_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 42
    """Of the split."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of the initial weights."""

    model: Architecture = "transformer"
    width: Size = 128
    n_layers: Annotated[int, Field(ge=1, le=MOST_LAYERS)] = 2
    n_heads: Size = 4
    """Heads of the attention, or of each layer of a routed network."""
    n_ffn_heads: Size | None = None
    """Feed-forward networks of each layer of a routed transformer; as n_heads where not given."""
    ffn_width: Size | None = None
    """Units of each feed-forward network of a transformer; 4 · width where not given."""
    tied: bool = False
    """Whether a transformer reads out by its token embeddings, which are decayed as such."""
    mask: Mask = "causal"
    initial: Initial = "normal"

    optimizer: Optimizer = "adamw"
    lr: Positive = 1e-3
    weight_decay: NotNegative = 1.0
    """λ of AdamW, which takes lr · λw off a weight; to Adam and SGD λw is part of the gradient."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    eps: Positive = 1e-8
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of SGD."""
    grad_clip: Positive | None = None
    """Largest norm of the gradient."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay_gates: bool = False
    """Whether weight decay is for what a routed network chooses its path with, too."""
    decay_embeddings: bool = False
    """Whether it is for embeddings, too."""
    softmax: Literal["float32", "float64"] = "float32"
    """Precision of the loss."""

    routing_regularizer: Regularizer = "none"
    lambda_routing: NotNegative = 0.0
    lambda_spectral: NotNegative = 0.0
    spectral_k: Annotated[int, Field(ge=1)] | None = None
    """Radius of low frequencies, 1 … (p − 1)/2; p // 4 where not given."""
    lambda_jacobian: NotNegative = 0.0
    jacobian_probes: Annotated[int, Field(ge=1)] = 1

    n_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 20_000
    log_every: Annotated[int, Field(ge=1)] = 100
    """Steps between rows of the history."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 5_000
    """Steps between checkpoints, besides early ones and those that resolve the accuracy."""
    sensitivities: Annotated[int, Field(ge=0)] = 12
    """Checkpoints with derivatives by the inputs, at most: coarse to fine."""
    traces: Annotated[int, Field(ge=0)] = 6
    """Checkpoints with traces of Hessian and Fisher matrix, at most."""
    spectra: Annotated[int, Field(ge=0)] = 0
    """Checkpoints at which the top of the spectrum is computed, at most."""
    eigenpairs: Annotated[int, Field(ge=1, le=MOST_EIGENPAIRS)] = 12
    """At the top of each spectrum."""
    maps: Annotated[int, Field(ge=0)] = 2
    """Checkpoints with a map over all pairs, at most."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _possible_together(self) -> LeastActionConfig:
        if self.p == 2 or not is_prime(self.p):
            raise ValueError(f"p={self.p}: must be an odd prime")
        if not 1 + self.unordered <= int(self.train_fraction * self.p**2):
            raise ValueError(
                f"train_fraction={self.train_fraction}: at least {1 + self.unordered} of "
                f"{self.p**2} pairs are needed to train on"
            )
        highest = (self.p - 1) // 2
        if not 1 <= self.low_radius <= highest:
            raise ValueError(
                f"spectral_k={self.spectral_k}: must be from 1 to {highest} for p={self.p}"
            )
        if self.transformer and self.width % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads}: must divide width={self.width}")
        if self.operation == "both" and not self.transformer:
            raise ValueError(f"operation='both': {self.model} is not told which one is meant")
        if self.lambda_routing and self.routing_regularizer == "none":
            raise ValueError(f"lambda_routing={self.lambda_routing}: needs a routing_regularizer")
        if self.routing_regularizer != "none" and not self.routed:
            raise ValueError(
                f"routing_regularizer={self.routing_regularizer!r}: {self.model} chooses no path"
            )
        self._require_choice()
        self._require_read()
        if self.spectra and self.eigenpairs > (n := self._n_parameters()):
            raise ValueError(f"eigenpairs={self.eigenpairs}: at most {n}, the network's parameters")
        return self

    def _require_choice(self) -> None:
        """A gate has something to choose from; else its parameters would be dead."""
        own = self.model == "routed_transformer" and self.n_ffn_heads is not None
        name, heads = ("n_ffn_heads", self.n_ffn_heads) if own else ("n_heads", self.n_heads)
        if self.routed and heads == 1:
            other = "transformer" if self.transformer else "single_head"
            raise ValueError(f"{name}=1: must be at least 2; with one head it is model={other!r}")

    def _require_read(self) -> None:
        """What would be ignored was not asked for."""
        model, optimizer = f"model={self.model!r}", f"optimizer={self.optimizer!r}"
        adam, penalty = self.optimizer != "sgd", f"lambda_jacobian={self.lambda_jacobian}"
        for ignored, names, reader in (
            (self.model != "routed_transformer", ("n_ffn_heads",), model),
            (not self.transformer, ("ffn_width", "tied", "mask", "initial"), model),
            (not self.routed, ("decay_gates",), model),
            (not adam, ("beta1", "beta2", "eps"), optimizer),
            (adam, ("momentum",), optimizer),
            (not self.lambda_jacobian, ("jacobian_probes",), penalty),
        ):
            for name in names:
                value = getattr(self, name)
                if ignored and value != type(self).model_fields[name].default:
                    raise ValueError(f"{name}={value!r}: not read with {reader}")

    def _n_parameters(self) -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in create_model(self).parameters())

    @property
    def transformer(self) -> bool:
        """Whether the network reads tokens."""
        return self.model in ("transformer", "routed_transformer")

    @property
    def routed(self) -> bool:
        """Whether the network chooses its path."""
        return self.model in ("routed", "routed_transformer")

    @property
    def low_radius(self) -> int:
        """Radius of the low frequencies of the logits."""
        return self.p // 4 if self.spectral_k is None else self.spectral_k

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(
            self.p,
            self.operation,
            train_fraction=self.train_fraction,
            seed=self.data_seed,
            unordered=self.unordered,
        )

    def network(self) -> ArithmeticNetwork:
        """The network at its initial weights."""
        with seeded(self.seed):
            return create_model(self)
