"""Whether what is drawn moves as the stage does, by laws measured on tracks."""
