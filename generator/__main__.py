"""`python -m kinetoscope.generator fit --config configs/generator/physics-64.yaml`: training by Lightning CLI."""

from ..tokenizer.training_cli import run
from .module import GeneratorModule

if __name__ == "__main__":
    run(GeneratorModule)
