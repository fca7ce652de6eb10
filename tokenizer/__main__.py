"""`python -m kinetoscope.tokenizer fit --config configs/tokenizer/physics-64.yaml`: training by
Lightning CLI."""

from ..training.cli import run
from .training.module import TokenizerModule

if __name__ == "__main__":
    run(TokenizerModule)
