"""How large and how long the chapter's networks are: its parameters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hdlib.store import Grid

Some = Annotated[tuple[int, ...], Field(min_length=1)]
Fractions = tuple[Annotated[float, Field(gt=0, lt=1)], ...]
Doses = tuple[Annotated[float, Field(gt=0)], ...]


class LeastActionSizes(Grid):
    """Sizes, lengths and strengths, of which `LeastActionGrid` makes configs.

    All but those of the sweep have one modulus and one width.
    """

    experiment: ClassVar[str] = "least-action"

    p: int = 31
    """Modulus, an odd prime."""
    width: int = 64
    """Of the residual stream, and hidden units of networks on one-hot pairs."""
    n_layers: int = 2
    """Blocks, or layers."""
    n_heads: int = 4
    """Heads of the attention, and of routed layers."""
    matched_width: int = 35
    """Units of each routed feed-forward network with which both kinds have as many parameters."""
    seeds: Some = (0, 1, 2)
    """Of the split and the initial weights."""
    more_seeds: Some = (3, 4, 5)
    """Likewise, of the two kinds of routed transformers that are compared again."""
    train_fraction: float = 0.5
    """Of all pairs."""
    lr: float = 1e-3
    """Learning rate of AdamW."""
    weight_decay: float = 1.0
    """Of AdamW."""
    warmup_steps: int = 500
    """Updates in which the learning rate rises."""
    n_steps: int = 4_000
    """Full-batch updates."""
    routed_steps: int = 10_000
    """Full-batch updates of routed transformers with as many parameters as the plain one."""
    dosed_steps: int = 6_000
    """Full-batch updates where the pressure on them is varied, or what weight decay is for; of
    routed ones where no test pair has its mirror."""
    both_steps: int = 10_000
    """Full-batch updates of transformers that learn both operations."""
    log_every: int = 50
    """Steps between rows of the history."""
    lambda_routing: float = 0.1
    """Factor of the routing entropy where the paths of networks are pressed to be decisive."""
    lambda_weaker: float = 0.03
    """Factor of the inconsistency of paths where they are pressed less to be alike."""
    doses: Doses = (0.03, 0.05, 0.1, 0.2)
    """Factors of the routing entropy, from little to much."""
    lambda_spectral: float = 0.1
    """Factor of the penalty on high frequencies."""
    lambda_jacobian: float = 1e-7
    """Factor of that on the squared input Jacobian, which is in the millions without it."""
    penalised_steps: int = 2_500
    """Full-batch updates under these two, which take several times as long a step."""
    fractions: Fractions = (0.3, 0.4, 0.6)
    """Other training fractions."""
    unordered_fraction: float = 0.75
    """Of the unordered pairs: as many of them as half of the ordered pairs hold."""
    sensitivities: int = 5
    """Checkpoints with derivatives by the inputs, of the networks that are followed."""
    traces: int = 4
    """Checkpoints with traces of Hessian and Fisher matrix, of these."""
    spectra: int = 2
    """Checkpoints with the top of the spectrum, of these, from the first seed."""
    eigenpairs: int = 12
    """At the top of each spectrum."""
    sweep_p: int = 17
    """Modulus of the sweep over learning rates and weight decays."""
    sweep_width: int = 128
    """Width of its transformers."""
    sweep_lrs: Doses = (3e-4, 1e-3, 3e-3)
    """Learning rates."""
    sweep_decays: Doses = (0.5, 1.0, 2.0)
    """Weight decays."""
    sweep_steps: int = 100_000
    """Full-batch updates."""
    validation_steps: int = 20_000
    """Full-batch updates of the quick checks, with the same modulus and width."""
    reported_p: int = 113
    """Modulus of the two-layer transformer that is reported to generalise at 3,400 steps."""
    reported_steps: int = 5_000
    """Full-batch updates of it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
