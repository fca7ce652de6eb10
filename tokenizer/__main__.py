"""Training by Lightning CLI: `python -m kinetoscope.tokenizer fit --config CONFIG`."""

from ..training.cli import run
from .training.module import TokenizerModule

if __name__ == "__main__":
    run(TokenizerModule)
