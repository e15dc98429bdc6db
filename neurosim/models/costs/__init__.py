"""Costs: how wrong the outputs are.

* ``cost(y, target, smoothing) -> float``: of one sample, always computed in float64
* ``gradient(y, target, smoothing, out)``: writes dC/dy into ``out``

``y`` and ``target`` are 1-D and of equal length; a class is given one-hot. ``smoothing`` is the schema's ``smoothing``.
"""
