"""`python -m kinetoscope.tokenizer.sound fit --config configs/tokenizer/sound-24k.yaml`: training
by Lightning CLI."""

from ...training.cli import run
from .training.module import SoundTokenizerModule

if __name__ == "__main__":
    run(SoundTokenizerModule)
