"""The fast blur is the convolution that it replaces."""

import math

import torch
import torch.nn.functional as F
from kinetoscope.app.provenance.watermark.smooth import smooth


def test_it_is_a_convolution_with_repeated_edges() -> None:
    pictures = torch.rand(2, 21, 34, generator=torch.Generator().manual_seed(0))
    for width in (0.7, 2.4, 9.0):
        reach = math.ceil(3 * width)
        taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
        taps /= taps.sum()
        wide = F.pad(pictures[:, None], (reach,) * 4, mode="replicate")
        slow = F.conv2d(F.conv2d(wide, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[:, 0]
        torch.testing.assert_close(smooth(pictures, width), slow)
