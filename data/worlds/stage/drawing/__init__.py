"""Pictures of the stage: shapes, light, styles of drawing, weather."""
