"""Reading and setting by hand what a simulation holds: states of neurons, weights of connections, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import registry
from neurosim.chip.cores import Wiring
from neurosim.chip.population import Connection, Integers, Population, read_numbers
from neurosim.engine import network_state, nsat_network
from neurosim.errors import InputError
from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.models.neurons.given import InputParameters
from neurosim.models.neurons.nsat import NeuronGroup
from neurosim.spec.chip import Chip

STATES = {"v": "V", "bias": "BIAS", "threshold": "THRESHOLD", "leak": "LEAK", "gain": "GAIN", "refractory": "RESTING"}
"""What ``Simulation.state`` shows, and the row of the kernel's memory that holds it."""
SETTABLE = ("v", "bias")


class Handles:
    """What `Simulation` holds, by name."""

    chip: Chip
    _populations: dict[str, Population]
    _connections: dict[tuple[str, str], Connection]
    _first: dict[str, int]
    _wiring: Wiring
    _memory: network_state.Memory
    _devices: network_state.Devices
    _nsat: nsat_network.NsatMemory | None

    def state(self, population: Population | str, name: str) -> npt.NDArray[Any]:
        """A copy of one state or parameter of each neuron: v, bias, threshold, leak, gain or refractory.

        Neurons with several states have those that their model names, bias, gain and refractory.
        """
        key = self._name(population)
        return self._row(key, name, "state", self._states(key))[self._span(key)].copy()

    @property
    def saturated(self) -> int:
        """Fixed-point states that were cut to their bits since the simulation was built."""
        return self._memory.get("SATURATED")

    def _states(self, key: str) -> list[str]:
        """Names of what ``state`` shows of a population."""
        parameters = self._populations[key].parameters
        if isinstance(parameters, NeuronGroup):
            return [*nsat_network.state_names(self._populations[key]), "refractory"]
        if isinstance(parameters, InputParameters) and self._nsat is not None:
            return []
        if isinstance(parameters, DynamicParameters):
            names = registry.find("dynamic", parameters.model).module.STATES
            return [*names, "bias", "gain", "refractory"]
        return list(STATES)

    def _row(self, key: str, name: str, what: str, known: list[str]) -> npt.NDArray[Any]:
        """The kernel's memory of one state, of all neurons; raises InputError for a name that is not known."""
        if name not in known:
            raise InputError(registry.unknown(name, known, what))
        if self._nsat is not None:
            return self._nsat.row(name)
        if isinstance(self._populations[key].parameters, DynamicParameters) and name not in (
            "bias",
            "gain",
            "refractory",
        ):
            row: npt.NDArray[Any] = self._memory.X[known.index(name)]
            return row
        return self._memory.row(STATES[name])

    def set_state(self, population: Population | str, name: str, values: npt.ArrayLike) -> None:
        """Set ``v`` or ``bias`` by hand, one number for all or one each, from the next tick on; costs nothing.

        Of neurons with several states every state can be set.
        """
        key = self._name(population)
        dynamic = isinstance(self._populations[key].parameters, DynamicParameters)
        known = self._states(key)[:-2] if dynamic else list(SETTABLE)
        if self._nsat is not None:
            known = self._states(key)[:-1]
        row = self._row(key, name, "state to set", known)
        given, problems = read_numbers(values, f"{name} of {key!r}")
        size = self._populations[key].size
        if given is not None and given.shape not in ((), (size,)):
            problems.append(f"{name} of {key!r}: has the shape {given.shape}, needed is one number or ({size},)")
        if given is None or problems:
            raise InputError(problems)
        if self._nsat is not None:
            self._nsat.set_state(self._populations[key], name, self._span(key), given)
        else:
            row[self._span(key)] = given

    def weights(self, source: Population | str, target: Population | str) -> npt.NDArray[Any]:
        """What the devices of a connection hold, in the shape in which it was made (read noise left out)."""
        connection = self._connection(source, target)
        if self._nsat is not None:
            return self._nsat.weights(connection)
        return self._memory.weight[self._positions(connection)].reshape(connection.shape)

    def set_weights(self, source: Population | str, target: Population | str, weights: float | npt.ArrayLike) -> None:
        """Write weights by hand (one for all, or of the connection's shape), in force from the next tick on.

        Devices take what they can hold: values are cut to their bounds and rounded to their grid, and stuck devices
        stay as they are. Nothing is counted; what writing costs a chip that learns is the trainers' account.
        """
        connection = self._connection(source, target)
        if self._nsat is not None:
            self._nsat.set_weights(connection, connection.read_weights(weights), self.chip)
            return
        span = self._wiring.span[connection.source.name, connection.target.name]
        positions = self._positions(connection)
        held = self._devices.hold(connection.read_weights(weights), span)
        if self._devices.stuck is not None:
            held = np.where(self._devices.stuck[span], self._memory.weight[positions], held)
        self._memory.weight[positions] = held + 0.0  # no -0.0, which would look like no input (network_kernel)

    def _positions(self, connection: Connection) -> Integers:
        return self._memory.position[self._wiring.span[connection.source.name, connection.target.name]]

    def _connection(self, source: Population | str, target: Population | str) -> Connection:
        key = (self._name(source), self._name(target))
        if key not in self._connections:
            known = ", ".join(connection.name for connection in self._connections.values()) or "none"
            raise InputError(f"no connection {key[0]} -> {key[1]} (known: {known})")
        return self._connections[key]

    def _name(self, population: Population | str) -> str:
        name = population.name if isinstance(population, Population) else population
        if name not in self._populations:
            raise InputError(registry.unknown(name, list(self._populations), "population"))
        return name

    def _names(self, record: str | Iterable[str | Population]) -> tuple[str, ...]:
        given = [record] if isinstance(record, (str, Population)) else list(record)
        names = [item.name if isinstance(item, Population) else item for item in given]
        problems = [registry.unknown(name, list(self._populations), "population") for name in names
                    if name not in self._populations]  # fmt: skip
        if problems:
            raise InputError(problems, "record")
        return tuple(dict.fromkeys(names))

    def _span(self, name: str) -> slice:
        return slice(self._first[name], self._first[name] + self._populations[name].size)
