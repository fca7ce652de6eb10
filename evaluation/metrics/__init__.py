"""Numbers that papers print, one class a file; `METRICS` names them."""

from .base import Batch, Metric
from .clip_score import ClipScore
from .fad import FrechetAudio
from .fid import FID
from .flicker import Flicker
from .fvd import FVD
from .inception_score import InceptionScore
from .kid import KID
from .kvd import KVD
from .lpips import LPIPS
from .mel import MelDistance
from .motion import Motion
from .ms_ssim import MSSSIM
from .psnr import PSNR
from .ssim import SSIM

METRICS: dict[str, type[Metric]] = {
    metric.name: metric
    for metric in (
        FVD,
        KVD,
        FID,
        KID,
        InceptionScore,
        PSNR,
        SSIM,
        MSSSIM,
        LPIPS,
        ClipScore,
        Motion,
        Flicker,
        FrechetAudio,
        MelDistance,
    )
}

__all__ = ["METRICS", "Batch", "Metric"]
