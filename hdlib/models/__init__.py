"""What learns."""

from hdlib.models.lenet import LeNetTiny
from hdlib.models.mlp import MLP, Encoding, encoded
from hdlib.models.transformer import Activation, ModularTransformer, PlainTransformer

__all__ = [
    "MLP",
    "Activation",
    "Encoding",
    "LeNetTiny",
    "ModularTransformer",
    "PlainTransformer",
    "encoded",
]
