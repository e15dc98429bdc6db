"""Weight devices: what one programming pulse does to a stored weight.

A model gives the *mean* change by one pulse, ``step(w, up, scale_up, scale_down, w_min, w_max) -> dw``, of a device
with its own frozen ``scale_up``, ``scale_down``, ``w_min`` and ``w_max``, and the constant ``EXACT``: whether updates
are written as they are asked for, without pulses and rounding. What all devices share stands in ``base``: their
parameters, how mismatch is drawn, and how noise enters.
"""
