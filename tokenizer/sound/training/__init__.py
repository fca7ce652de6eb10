"""Making of sound tokenizers: everything is solved for, nothing needs a gradient."""
