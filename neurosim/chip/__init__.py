"""The machine built from a description: layers laid out as arrays, placed on cores, counted and timed."""
