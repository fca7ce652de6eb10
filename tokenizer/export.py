"""The two steps of a stream as modules, which is what `torch.export` takes.

The first step, from the state `{}`, and the later ones are two programs, because the state has no
entries at first:

    step = EncodeStep(tokenizer)
    first = torch.export.export(step, (one_frame, {}))    # [B, 3, 1, Y, X]
    indices, state = step(one_frame, {})
    later = torch.export.export(step, (k_frames, state))  # [B, 3, k, Y, X] and that state
    indices, state = later.module()(k_frames, state)

The exported programs take and return the states of `VideoTokenizer.encode_step` and `decode_step`.
"""

from torch import Tensor, nn

from .blocks import State
from .model import VideoTokenizer


class EncodeStep(nn.Module):
    """`VideoTokenizer.encode_step`: frames `[B, 3, f, Y, X]` and state to indices and new state."""

    def __init__(self, tokenizer: VideoTokenizer) -> None:
        super().__init__()
        tokenizer.quantizer.load_library()  # a graph holds no import
        self.tokenizer = tokenizer

    def forward(self, video_chunk: Tensor, state: State) -> tuple[Tensor, State]:
        return self.tokenizer.encode_step(video_chunk, state)


class DecodeStep(nn.Module):
    """`VideoTokenizer.decode_step`: indices `[B, t, H, W]` and state to pixels and new state."""

    def __init__(self, tokenizer: VideoTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, indices: Tensor, state: State) -> tuple[Tensor, State]:
        return self.tokenizer.decode_step(indices, state)
