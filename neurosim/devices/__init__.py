"""Populations of weight devices on their own, presets of them, and what is made from measurements of them.

``population`` drives a model (``neurosim.models.devices``) without a network: pulses, reads, time, energy. ``presets``
are the named parameter sets that are shipped; ``convert`` takes those of other simulators over, ``fit`` makes one from
measured pulse trains, ``mixture`` trains a mixture-density network on samples of a switching device.
"""
