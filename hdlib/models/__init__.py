"""What learns."""

from hdlib.models.create import Architecture, ArithmeticNetwork, create_model
from hdlib.models.grok_transformer import GrokTransformer, Initial, Mask
from hdlib.models.lenet import LeNetTiny
from hdlib.models.mlp import MLP, Encoding, encoded
from hdlib.models.planted import PlantedNetwork, Unit
from hdlib.models.prefixes import Prefixes, all_prefixes, distinct_prefixes
from hdlib.models.routed import GeluMLP, OneHotEmbedding, RoutedNetwork
from hdlib.models.routing import Gate, Routed, RoutingState, Trace
from hdlib.models.transformer import (
    Activation,
    AttentionKind,
    MatrixStart,
    ModularTransformer,
    PlainTransformer,
)

__all__ = [
    "MLP",
    "Activation",
    "Architecture",
    "ArithmeticNetwork",
    "AttentionKind",
    "Encoding",
    "Gate",
    "GeluMLP",
    "GrokTransformer",
    "Initial",
    "LeNetTiny",
    "Mask",
    "MatrixStart",
    "ModularTransformer",
    "OneHotEmbedding",
    "PlainTransformer",
    "PlantedNetwork",
    "Prefixes",
    "Routed",
    "RoutedNetwork",
    "RoutingState",
    "Trace",
    "Unit",
    "all_prefixes",
    "create_model",
    "distinct_prefixes",
    "encoded",
]
