"""What learns."""

from hdlib.models.lenet import LeNetTiny
from hdlib.models.transformer import Activation, ModularTransformer, PlainTransformer

__all__ = ["Activation", "LeNetTiny", "ModularTransformer", "PlainTransformer"]
