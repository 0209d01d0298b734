"""How good a model is on pictures with truth masks, through the geometry that serves it."""
