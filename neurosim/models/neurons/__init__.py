"""Neurons: what becomes of the sum of the inputs.

**Rate neurons** (kind ``rate``) turn a pre-activation z into an activation a = f(z) at once:

* ``activate(z) -> a``
* ``derivative(z, a) -> da/dz``, given z and the a that belongs to it

On a chip whose neurons differ, the engine wraps every rate neuron in the four-parameter mismatch of multiplexed
gradient descent (McCaughan et al., APL Mach. Learn. 1, 026118 (2023)),

    a = L f(k (z - x0)) + y0,        da/dz = L k f'(k (z - x0)),

with L ~ N(1, scale_dtod), k ~ N(1, slope_dtod), x0 ~ N(0, x_offset_dtod), y0 ~ N(0, y_offset_dtod), drawn once for each
neuron when the chip is fabricated. A model does not see it.

**Spiking neurons** (kind ``spiking``) have a membrane v that advances once per tick:

* ``integrate(v, current, leak) -> v``: v before the threshold is looked at; ``current`` is what arrived in this tick
* the schema (``base.SpikingParameters``) says the rest, which the engine does for all of them, in this order: floor
  v_min, threshold (a spike when v >= threshold), reset, refractory ticks
* ``fires(v, threshold) -> bool``, where the file has one: when there is a spike, in place of v >= threshold
* ``rest(v, leak) -> v``, where the file has one: what v does in a tick of rest, in place of nothing

The last two are heeded by networks driven by hand (``engine.network_kernel``).
"""
