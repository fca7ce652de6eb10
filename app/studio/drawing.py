"""What is written and shown of an order while its videos are drawn.

Legend: B videos of an order, T latent frames, G H W cells of one, K codes of its sound, f Y X
frames and pixels, l samples.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..heard import codes_of, drawn, sound_codes
from .gallery import Gallery
from .live import Channel
from .order import Order
from .pictures import poster

if TYPE_CHECKING:
    from torch import Tensor

    from ...generator.pipeline import VideoGenerator
    from ...generator.session import VideoSession
    from ..provenance.writer import GeneratedVideoWriter, Signing


class Drawing:
    """What is written of an order while it is drawn."""

    def __init__(
        self,
        gallery: Gallery,
        channel: Channel,
        order: Order,
        generator: VideoGenerator,
        session: VideoSession,
        signing: Signing,
    ) -> None:
        self.gallery = gallery
        self.channel = channel
        self.order = order
        self.generator = generator
        self.session = session
        self.signing = signing
        self.codes: list[Tensor] = []  # [B, 1, H, W] or [B, 1, H, W, Q]
        self.sounds: list[Tensor] = []  # [B, 1, K]
        self.posters: list[bytes] = []

    @contextlib.contextmanager
    def files(self) -> Iterator[Callable[[Any], None]]:
        """A function that takes a latent frame, as a session gives it; the videos are there when
        the block has ended well."""
        from .save import saved_video

        order = self.order
        with contextlib.ExitStack() as open_files:
            writers = [
                open_files.enter_context(
                    saved_video(
                        self.gallery.path(video),
                        seed,
                        order.settings,
                        self.gallery,
                        self.generator,
                        self.signing,
                        self.session.sound,
                    )
                )
                for video, seed in zip(order.videos, order.seeds)
            ]
            yield lambda chunk: self._take(chunk, writers)

    def _take(self, given: Any, writers: list[GeneratedVideoWriter]) -> None:
        order = self.order
        (chunk, samples) = drawn(given, order.settings.frames - order.done)
        grid = self.generator.decoder.config.grid
        codes_BG = self.session.engine.past[-1]
        self.codes.append(self.generator.codebooks.give(codes_BG.unflatten(1, (1, *grid))))
        for frame in range(chunk.shape[2]):
            for video in range(len(chunk)):
                pixels = chunk[video, :, frame].permute(1, 2, 0).numpy()
                self.channel.picture(order.number, video, order.done + frame, pixels)
        for writer, video_3fYX in zip(writers, chunk):
            writer.write(video_3fYX)
        if samples is not None:
            self._hear(samples, writers)
        if not self.posters or order.done < order.settings.frames // 3:
            self.posters = [poster(video_3fYX) for video_3fYX in chunk]
        order.done += chunk.shape[2]

    def _hear(self, samples_Bl: Tensor, writers: list[GeneratedVideoWriter]) -> None:
        """Write the sound of a latent frame; pages hear that of the first video."""
        self.sounds.append(sound_codes(self.session))
        for writer, samples_l in zip(writers, samples_Bl):
            writer.write_sound(samples_l)
        first = self.order.done * self.generator.samples_per_frame
        heard = samples_Bl[0][:, None].numpy()
        self.channel.sound(self.order.number, first, heard, self.generator.sound_rate)

    def keep(self) -> None:
        """Add the videos, whose files are there, to the gallery."""
        import torch

        from ...tokenizer import VideoCodes

        order = self.order
        height, width = self.generator.size
        indices = torch.cat(self.codes, dim=1).cpu()
        k = self.generator.decoder.config.frames_per_latent
        frames = 1 + (indices.shape[1] - 1) * k
        sounds = torch.cat(self.sounds, dim=1) if self.sounds else None
        for index, (video, seed) in enumerate(zip(order.videos, order.seeds)):
            settings = dataclasses.replace(order.settings, seed=seed, count=1, frames=order.done)
            sound = None
            if sounds is not None:
                sound = codes_of(sounds[index : index + 1], frames, self.generator)
            codes = VideoCodes(
                indices[index : index + 1],
                frames,
                height,
                width,
                settings.fps,
                self.generator.tokenizer.id,
                settings.model,
                sound,
            )
            codes.save(self.gallery.path(video, ".safetensors"))
            record = {
                "id": video,
                "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "settings": settings.to_json(),
                "frames": order.done,
                "height": height,
                "width": width,
                "seconds": round(time.monotonic() - order.began, 2),
                "notes": order.notes,
            }
            self.gallery.add(record, self.posters[index])
