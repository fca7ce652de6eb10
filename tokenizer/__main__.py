"""`python -m kinetoscope.tokenizer fit --config configs/tokenizer/physics-64.yaml`: training by Lightning CLI."""

from .module import TokenizerModule
from .training_cli import run

if __name__ == "__main__":
    run(TokenizerModule)
