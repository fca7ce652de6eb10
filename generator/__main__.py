"""`python -m kinetoscope.generator fit --config configs/generator/physics-64.yaml`: training by
Lightning CLI."""

from ..training.cli import run
from .training.module import GeneratorModule

if __name__ == "__main__":
    run(GeneratorModule)
