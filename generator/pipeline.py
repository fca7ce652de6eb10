"""Words to pixels: text encoder, decoder and tokenizer as one model.

Legend: B videos, F Y X frames and pixels, T latent frames, G = H * W cells of one, k frames per latent.
"""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..tokenizer import VideoCodes, VideoTokenizer, frame_count
from ..tokenizer.checkpoint import find_folder, load_weights, read_config, save_folder
from .decoder import Decoder, DecoderConfig
from .sampling import SamplingParams
from .session import Session
from .text import TextEncoder

Progress = Callable[[int], None]


class VideoGenerator(nn.Module):
    """Makes videos from sentences, and goes on with given ones.

    Args:
        decoder: draws codes.
        tokenizer: turns codes into pixels; the one whose codes the decoder learned.
        text: turns sentences into what the decoder reads.

    Raises:
        ValueError: parts that do not fit each other.
    """

    def __init__(self, decoder: Decoder, tokenizer: VideoTokenizer, text: TextEncoder) -> None:
        super().__init__()
        self.decoder, self.tokenizer, self.text = decoder, tokenizer, text
        config = decoder.config
        for name, wanted, given in (
            ("codes", config.vocab_size, tokenizer.codebook_size),
            ("frames per latent", config.frames_per_latent, tokenizer.config.frames_per_latent),
            ("text features", config.text_dim, text.dim),
        ):
            if wanted != given:
                raise ValueError(f"the decoder was made for {wanted} {name}, but these parts have {given}")

    # ---- sampling ----

    def generate(
        self,
        prompt: str | Sequence[str],
        frames: int = 33,
        seed: int = 0,
        params: SamplingParams = SamplingParams(),  # noqa: B008 (frozen)
        init: Tensor | VideoCodes | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Videos float [B, 3, F, Y, X] in [-1, 1], one per prompt.

        Args:
            frames: F, of any number: memory for anything but the result does not grow with it.
            seed: of the first prompt; the next ones have seed + 1, seed + 2, ... and each gives what it gives alone.
            params: how codes are drawn.
            init: how the videos begin, as in `stream`; these frames count as part of F.
            progress: called with the number of frames that were just finished.

        Raises:
            ValueError: frames below 1 or no more than `init` has; and whatever `stream` refuses.
        """
        if frames < 1:
            raise ValueError(f"frames must be at least 1; got {frames}")
        given = 0 if init is None else init.num_frames if isinstance(init, VideoCodes) else init.shape[2]
        if given and frames <= given:
            raise ValueError(f"init has {given} frames, so frames must be at least {given + 1}; got {frames}")
        chunks: list[Tensor] = []
        done = 0
        for chunk in self.stream(prompt, seed, params, init):
            chunks.append(chunk[:, :, : frames - done])
            done += chunks[-1].shape[2]
            if progress:
                progress(chunks[-1].shape[2])
            if done >= frames:
                break
        return torch.cat(chunks, dim=2)

    def stream(
        self,
        prompt: str | Sequence[str],
        seed: int = 0,
        params: SamplingParams = SamplingParams(),  # noqa: B008 (frozen)
        init: Tensor | VideoCodes | None = None,
    ) -> Iterator[Tensor]:
        """Endless videos, the pixels of one latent frame at a time: float [B, 3, f, Y, X], f = 1 at first and k later.

        Args:
            init: an image or clip float [B or 1, 3, F, Y, X] in [-1, 1], F = 1 + a multiple of k, or its codes. The
                stream begins with it (as the tokenizer shows it) and goes on from there.

        Raises:
            ValueError: an empty or too long prompt, a negative seed, a window that the decoder cannot have, or an init
                of another size or another tokenizer.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if seed < 0:
            raise ValueError(f"seed must be 0 or more; got {seed}")
        states_BSE, mask_BS = self.text.encode(prompts, self.decoder.config.max_text)
        begin_BTG = self._codes_of(init, len(prompts)) if init is not None else None
        seeds = range(seed, seed + len(prompts))
        weights = self.decoder.no_text
        backend = "sdpa" if weights.is_cuda else "matmul"  # for one query at a time on a CPU
        session = Session(self.decoder, states_BSE.to(weights), mask_BS.to(weights.device), seeds, params, backend)
        return self._pixels(session, begin_BTG)

    def _pixels(self, session: Session, begin_BTG: Tensor | None) -> Iterator[Tensor]:
        H, W = self.decoder.config.grid
        given = iter(begin_BTG.unbind(1)) if begin_BTG is not None else iter(())
        state: dict[str, Tensor] = {}
        for codes_BG in itertools.chain(given, itertools.repeat(None)):
            if codes_BG is None:
                codes_BG = session.draw()
            else:
                session.feed(codes_BG)
            pixels, state = self.tokenizer.decode_step(codes_BG.view(-1, 1, H, W), state)
            yield pixels

    def _codes_of(self, init: Tensor | VideoCodes, batch: int) -> Tensor:
        """Codes [B, T, G] of how a video begins."""
        codes = init if isinstance(init, VideoCodes) else self.tokenizer.encode(init.to(self.decoder.no_text.device))
        if codes.tokenizer != self.tokenizer.id:
            name = codes.tokenizer or "unknown"
            raise ValueError(f"these codes are of tokenizer {name}, and this model reads those of {self.tokenizer.id}")
        patch, k = self.tokenizer.config.patch, self.decoder.config.frames_per_latent
        Y, X = (side * patch for side in self.decoder.config.grid)
        if (codes.height, codes.width) != (Y, X):
            raise ValueError(f"init must be {Y} x {X} pixels; got {codes.height} x {codes.width}. Resize it")
        B, T = codes.indices.shape[:2]
        if codes.num_frames != frame_count(T, k):
            shorter, longer = frame_count(T - 1, k), frame_count(T, k)
            raise ValueError(
                f"init must have 1 + a multiple of {k} frames; got {codes.num_frames}: give {shorter} or {longer}"
            )
        if B not in (1, batch):
            raise ValueError(f"init must hold 1 video or one per prompt ({batch}); got {B}")
        return codes.indices.flatten(2).expand(batch, -1, -1).to(self.decoder.no_text.device)

    # ---- files ----

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str]) -> "VideoGenerator":
        """Load a shipped model by name, a folder, or a hub id; safetensors only.

        Raises:
            ValueError: there is no such model, or its files do not fit each other.
        """
        folder = find_folder(name, "generator")
        values = read_config(folder)
        tokenizer_id = values.pop("tokenizer", None)
        decoder = Decoder(DecoderConfig.from_dict(values))
        load_weights(decoder, folder)
        tokenizer = VideoTokenizer.from_pretrained(folder / "tokenizer")
        if tokenizer.id != tokenizer_id:
            wanted = f"the decoder in {folder} learned the codes of tokenizer {tokenizer_id}"
            raise ValueError(f"{wanted}, but the one beside it is {tokenizer.id}")
        return cls(decoder, tokenizer, TextEncoder.from_pretrained(folder / "text")).eval()

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = True) -> None:
        """Write the decoder into `folder`, and the two other parts into `tokenizer` and `text` inside it."""
        config = {**dataclasses.asdict(self.decoder.config), "tokenizer": self.tokenizer.id}
        self.tokenizer.save_pretrained(Path(folder) / "tokenizer", half)
        self.text.save_pretrained(Path(folder) / "text", half)
        save_folder(folder, config, self.decoder.state_dict(), half)
