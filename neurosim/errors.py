"""Every exception that neurosim raises on purpose."""

from __future__ import annotations


class NeurosimError(Exception):
    """Root of all errors that neurosim raises on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(NeurosimError, ValueError):
    """A file, option or value from the user is wrong.

    ``problems`` lists every fault found, one line each, with its key path.
    """

    exit_code = 2

    def __init__(self, problems: str | list[str], where: str | None = None) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        self.where = where
        head = f"{where}: " if where else ""
        if len(self.problems) == 1:
            text = head + self.problems[0]
        else:
            text = f"{head}{len(self.problems)} problems\n" + "\n".join(f"  {line}" for line in self.problems)
        super().__init__(text)


class CapacityError(InputError):
    """The network does not fit on the chip."""


class CapabilityError(InputError):
    """The training asks for something that the chip cannot do."""


class DataError(NeurosimError):
    """A dataset cannot be found, reached or trusted."""


class DivergenceError(NeurosimError):
    """The cost became NaN or infinite."""


class TraceError(NeurosimError):
    """A trace file cannot be read, written or resumed."""
