"""Networks on modular arithmetic, by name."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, get_args

from hdlib.models.grok_transformer import GrokTransformer, Initial, Mask
from hdlib.models.routed import GeluMLP, RoutedNetwork

Architecture: TypeAlias = Literal[
    "mlp", "routed", "single_head", "transformer", "routed_transformer"
]
ArithmeticNetwork: TypeAlias = GeluMLP | RoutedNetwork | GrokTransformer


class NetworkConfig(Protocol):
    """What a network is made from; see the classes for what each field means."""

    @property
    def model(self) -> Architecture: ...
    @property
    def p(self) -> int: ...
    @property
    def operation(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def n_ffn_heads(self) -> int | None: ...
    @property
    def ffn_width(self) -> int | None: ...
    @property
    def tied(self) -> bool: ...
    @property
    def mask(self) -> Mask: ...
    @property
    def initial(self) -> Initial: ...


def create_model(config: NetworkConfig) -> ArithmeticNetwork:
    """The network of a config, its initial weights drawn from torch's global random numbers.

    Args:
        config: architecture and sizes. ``n_ffn_heads`` feed-forward networks of a routed
            transformer are as many as ``n_heads`` where it is None, each with ``ffn_width`` units,
            4 · width where that is None.

    Raises:
        ValueError: if the architecture is unknown, or a size is not what is allowed.
    """
    sizes = {"width": config.width, "n_layers": config.n_layers}
    match config.model:
        case "mlp":
            return GeluMLP(config.p, **sizes)
        case "routed":
            return RoutedNetwork(config.p, n_heads=config.n_heads, **sizes)
        case "single_head":
            return RoutedNetwork(config.p, n_heads=1, **sizes)
        case "transformer" | "routed_transformer":
            routed = config.model == "routed_transformer"
            return GrokTransformer(
                config.p,
                n_tokens=config.p + (3 if config.operation == "both" else 2),
                n_heads=config.n_heads,
                n_routed=(config.n_ffn_heads or config.n_heads) if routed else 0,
                hidden=config.ffn_width,
                tied=config.tied,
                mask=config.mask,
                initial=config.initial,
                **sizes,
            )
        case unknown:
            allowed = ", ".join(get_args(Architecture))
            raise ValueError(f"model={unknown!r}: allowed are {allowed}")
