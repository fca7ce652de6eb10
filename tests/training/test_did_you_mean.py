"""A mistyped key of a config is named with what it was probably meant to be."""

import kinetoscope.tokenizer.training.losses  # noqa: F401 (its classes are among those that a config may choose)
import pytest
from kinetoscope.training.did_you_mean import name_nearest

KNOWN = {
    "config",
    "model",
    "model.lr",
    "model.warmup_steps",
    "model.size.dim",
    "trainer",
    "trainer.max_steps",
    "data",
}


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (
            "Subcommand 'fit' does not accept option 'model.warmup_step'",
            "did you mean 'model.warmup_steps'?",
        ),
        (
            "Subcommand 'fit' does not accept option 'model.size.dims'",
            "did you mean 'model.size.dim'?",
        ),
        ("Subcommand 'fit' does not accept option 'trainr.max_steps'", "did you mean 'trainer'?"),
        (
            "Subcommand 'fit' does not accept option 'model.learning_rate'",
            "did you mean 'model.lr'?",
        ),
        ("Option 'calmm' is not accepted", "did you mean 'calm'?"),
    ],
)
def test_the_nearest_key_is_named(message: str, answer: str) -> None:
    said = name_nearest(message, KNOWN)
    assert message.split("'")[-2] in said and said.endswith(f"is not a setting; {answer}")


def test_nothing_is_made_up() -> None:
    far = "Subcommand 'fit' does not accept option 'model.zzzzzzz'"
    assert name_nearest(far, KNOWN) == "'model.zzzzzzz' is not a setting"
    assert name_nearest("the disk is full", KNOWN) == "the disk is full"
