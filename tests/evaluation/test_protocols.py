"""Protocols: every field has a source, nothing changes behind a name, and mistakes are named."""

import dataclasses

import pytest
from kinetoscope.evaluation.protocols import NOT_STATED, PROTOCOLS, changes, find_protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_field_says_where_it_comes_from(name: str) -> None:
    protocol = PROTOCOLS[name]
    fields = {item.name for item in dataclasses.fields(protocol)} - {"name", "sources"}
    assert set(protocol.sources) == fields
    for field, source in protocol.sources.items():
        assert len(source) > 3, field
        assert "/" in source or NOT_STATED in source or not source.endswith("."), field


def test_a_protocol_is_frozen_and_a_change_is_said() -> None:
    protocol = find_protocol("stylegan-v")
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.clips = 10  # type: ignore[misc]
    with pytest.raises(TypeError):
        protocol.sources["clips"] = "memory"  # type: ignore[index]
    assert changes(protocol) == {}
    assert changes(protocol.with_changes(clips=10, frames=None)) == {"clips": [2048, 10]}


def test_without_a_name_all_clips_are_used() -> None:
    protocol = find_protocol(None)
    assert protocol.name == ""
    assert protocol.clips is None
    assert changes(protocol.with_changes(frames=8)) == {}


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="unknown protocol 'fvd'; there are stylegan-v, videogpt"):
        find_protocol("fvd")
    with pytest.raises(ValueError, match="frames must be at least 1; got 0"):
        find_protocol(None).with_changes(frames=0)
    with pytest.raises(ValueError, match="covariance must be one of unbiased, biased; got 'n'"):
        find_protocol(None).with_changes(covariance="n")
    with pytest.raises(ValueError, match=r"resize must be one of .* lanczos; got 'cubic'"):
        find_protocol("stylegan-v").with_changes(resize="cubic")
