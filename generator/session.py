"""A video in the making: prompt states and seeds in, codes of one latent frame after another out, for ever.

Legend: B rows, S text length, E text width, P prefix tokens, G cells of a frame, L tokens, D model width, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .cache import FrameRing
from .decoder import Decoder
from .sampling import SamplingParams, guide, gumbel_noise, sample


class Session:
    """A batch of videos that grow frame by frame at constant memory and cost.

    With guidance every row runs twice in one batch, with its prompt and without; at guidance 1 only with it.

    Args:
        decoder: in the dtype and on the device to sample with.
        text_BSE, text_mask_BS: of the text encoder, one row per video.
        seeds: one per video; a row depends on its own seed only.
        params: how codes are drawn.
        backend: of `attend`.

    Raises:
        ValueError: a window longer than the decoder allows.
    """

    @torch.inference_mode()
    def __init__(
        self,
        decoder: Decoder,
        text_BSE: Tensor,
        text_mask_BS: Tensor,
        seeds: Sequence[int],
        params: SamplingParams = SamplingParams(),  # noqa: B008 (frozen)
        backend: str = "sdpa",
    ) -> None:
        self.decoder, self.seeds, self.params = decoder, list(seeds), params
        self.guided = params.guidance != 1
        if self.guided:
            text_BSE = torch.cat([text_BSE, text_BSE])
            text_mask_BS = torch.cat([text_mask_BS, torch.zeros_like(text_mask_BS)])
        self.codes_VD, self.head_VD = decoder.codes(), decoder.head()
        prefix_BPD, mask_BP = decoder.embed_prefix(len(text_BSE), text_BSE, text_mask_BS)
        self.ring = FrameRing(decoder.config, mask_BP, params.window, prefix_BPD.dtype, backend)
        decoder.step(prefix_BPD, self.ring.extend(prefix_BPD.shape[1]))

    @torch.inference_mode()
    def feed(self, codes_BG: Tensor) -> None:
        """Take a frame as given: its codes, int64 [B, G], become the past of the next one."""
        self.ring.begin_frame()
        rows = torch.cat([codes_BG, codes_BG]) if self.guided else codes_BG
        x_BLD = self.decoder.embed_frames(rows[:, None], table_VD=self.codes_VD)[:, 0]
        self.decoder.step(x_BLD, self.ring.extend(x_BLD.shape[1]))

    @torch.inference_mode()
    def draw(self) -> Tensor:
        """Sample the next frame; its codes, int64 [B, G]."""
        self.ring.begin_frame()
        frame, drawn = self.ring.frame, []
        x_BD = self.decoder.frame_start.expand(len(self.seeds) * (1 + self.guided), -1)
        for cell in range(self.decoder.config.cells):
            noise_BV = gumbel_noise(self.seeds, frame, cell, len(self.codes_VD)).to(x_BD.device)
            code_B = sample(self._logits(x_BD), self.params, noise_BV)
            drawn.append(code_B)
            x_BD = self.codes_VD[torch.cat([code_B, code_B]) if self.guided else code_B]
        self.decoder.step(x_BD[:, None], self.ring.extend(1))  # the last cell predicts nothing, and is looked at later
        return torch.stack(drawn, dim=1)

    def _logits(self, x_BD: Tensor) -> Tensor:
        logits_BV = self.decoder.step(x_BD[:, None], self.ring.extend(1))[:, 0] @ self.head_VD.T
        if not self.guided:
            return logits_BV
        with_prompt_BV, without_BV = logits_BV.chunk(2)
        return guide(with_prompt_BV, without_BV, self.params.guidance)
