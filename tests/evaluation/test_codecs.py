"""Codecs of others beside a tokenizer."""

import os

import pytest
import torch
from kinetoscope.evaluation.codecs import CODECS, fits, within_budget


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="only Linux has policies")
@pytest.mark.parametrize("name", CODECS)
def test_a_process_keeps_its_priority(name: str) -> None:
    """SVT-AV1 takes a real-time one where it may, which is where tests run as root."""
    torch.manual_seed(0)
    clip = torch.randint(256, (3, 3, 64, 64), dtype=torch.uint8)
    if not fits(CODECS[name], clip):
        pytest.skip(f"this FFmpeg has no {name}")
    before = os.sched_getscheduler(0)
    coded = within_budget(CODECS[name], clip, 1e9)
    assert coded is not None and coded.video.shape == clip.shape
    assert os.sched_getscheduler(0) == before
