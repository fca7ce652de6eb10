"""What a model of the stage must show, one row at a time: `kinetoscope evaluate stage-256`."""
