"""The door to what is computed from a model's structure."""

from __future__ import annotations

from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.structure.engine import Engine
from hdlib.curvature.structure.losses import output_derivatives
from hdlib.curvature.structure.modular.engine import modular_engine
from hdlib.curvature.structure.stacks.engine import stack_engine
from hdlib.loss import Loss

ENGINES = (stack_engine, modular_engine)


def recognise(model: nn.Module, loss: Loss, sample: Batch) -> Engine | None:
    """The engine for a model under a loss, or None where the general method is the only one.

    Stacks of layers are recognised (`hdlib.curvature.structure.stacks`), and transformers that
    declare a factored forward pass (`hdlib.curvature.structure.modular`), under the losses whose
    derivatives are known in closed form, if all parameters are trained and nothing is hooked or
    patched.

    Args:
        model: copy of the model that is computed with.
        loss: mean-reduced loss, as it came.
        sample: one sample, in the model's type and on its device.
    """
    derivatives = output_derivatives(loss)
    one_tensor = len(sample.args) == 1 and not sample.kwargs and isinstance(sample.args[0], Tensor)
    trained = all(parameter.requires_grad for parameter in model.parameters())
    if derivatives is None or not one_tensor or not trained:
        return None
    found = (build(model, derivatives, sample.args[0]) for build in ENGINES)
    return next((engine for engine in found if engine is not None), None)
