"""`kinetoscope evaluate`: a model of ours by name, or one of the words below.

evaluate MODEL                     a model's own world
evaluate videos REFERENCE GENERATED
evaluate tokenizer DATA
evaluate generator DATA MODEL OUT
evaluate compare A B               why two results differ
"""

from .model import evaluate

__all__ = ["evaluate"]
