"""Any tokenizer on any videos: `kinetoscope evaluate tokenizer`, several side by side."""

from .measure import evaluate_tokenizers
from .opened import AnyTokenizer, open_tokenizer
from .table import format_tokenizers

__all__ = ["AnyTokenizer", "evaluate_tokenizers", "format_tokenizers", "open_tokenizer"]
