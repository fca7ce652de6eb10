"""What a step sees of the steps before it; the past is an argument, so chunks give the same as the
whole."""

import torch
from torch import Tensor

from ..blocks import State


def with_past(x_BTc: Tensor, steps: int, key: str, state: State, new_state: State) -> Tensor:
    """Put the last `steps` of the past, `[B, steps, ...]`, in front of `x` and note the new past
    under `key`. Before the first step there is silence: the past is zero."""
    if key in state:
        past = state[key].to(x_BTc.dtype)
    else:
        past = x_BTc.new_zeros(len(x_BTc), steps, *x_BTc.shape[2:])
    joined = torch.cat([past, x_BTc], dim=1)
    new_state[key] = joined[:, joined.shape[1] - steps :].detach()
    return joined
