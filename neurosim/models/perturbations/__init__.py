r"""Perturbation codes: how every parameter is shaken so that one cost tells of all of them.

All codes keep one 32-bit word for each of the P parameters, and know the perturbation of each from its word and the
number n = 0, 1, 2, ... of the perturbation. A model file holds

* ``BLOCK``: how many perturbations one filled word lasts; 0: filled once, for the whole run
* ``fill(words, seed, block, s0, s1)``: the words of perturbations block BLOCK ... block BLOCK + BLOCK - 1
* ``amplitude(size, norm_mag, s0) -> float``: peak of one parameter's perturbation, for P = size
* ``value(word, n, size, amplitude) -> float32``: the perturbation of a parameter
* ``period(size) -> int``: the number of perturbations after which the code begins again; 0: never
* the schema's ``settings() -> (s0, s1)``: its parameters as two plain numbers

``norm_mag`` is the root mean square over n of the Euclidean length of the whole perturbation, for every code. Hence,
over a full period or on average, and to first order in the amplitude,

    < (C(theta + theta~(n)) - C(theta)) theta~_i(n) > / norm_mag^2 = (1/P) dC/dtheta_i .

``size`` is P, the number of perturbed parameters of the run, wherever in it the parameter stands: all parameters share
one code. Limits: P < 2^28 (sinusoidal), 2^30 (walsh), 2^31 (others).

Source: A. McCaughan et al., Multiplexed gradient descent, APL Mach. Learn. 1, 026118 (2023), which calls them code,
time and frequency division multiplexing.
"""
