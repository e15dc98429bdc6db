"""Weight devices: what one programming pulse does to a stored weight, what time does to it, and how it reads.

A model file gives the *mean* change by one pulse, ``step(w, up, scale_up, scale_down, w_min, w_max, ...) -> dw``, of a
device with its own frozen ``scale_up``, ``scale_down``, ``w_min`` and ``w_max``, and the constant ``EXACT``: whether
updates are written as they are asked for, without pulses and rounding. It may also define

``spread(...) -> std``      standard deviation of one pulse's noise, in weight units; else |dw| dw_min_std
``jump(...) -> dw``         the random change by one pulse, whole; then step and spread are only for reference
``aged(...) -> w``          what a weight has become ``age_s`` seconds after it was last written
``elapse(...) -> w``        what ``dt_s`` seconds of chance (diffusion, telegraph noise) make of a weight
``read_spread(...) -> std`` standard deviation of one read
``MEMORYLESS``              whether what aged until now does not matter for how the rest ages (then chance acts on that)

Their arguments are known by name: ``w, up, scale_up, scale_down, w_min, w_max, dw, xi`` (a standard normal), ``u`` (a
uniform), ``age_s``, ``dt_s``, ``table``, the names of the model's own frozen values (``DeviceParameters.own``), and any
number among its parameters. What all devices share stands in ``base``: their parameters, how mismatch is drawn, and how
noise enters.
"""
