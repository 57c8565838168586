"""A model with early exits, as a user calls it."""

from collections.abc import Mapping, Sequence

from offramp.calibrate.calibrator import Calibrator
from offramp.errors import UnknownNameError
from offramp.gates.gate import Gate
from offramp.inputs import Inputs
from offramp.run.executor import Executor
from offramp.run.loop import OnResolved, Outcome, Plan, run
from offramp.types import OperatingPoint


class EarlyExitModel:
    """A backbone that is left early; call it with a batch.

    The operating point may be switched from any thread while batches are under way: switching is one assignment of an
    immutable plan, and a batch keeps the plan it started with.
    """

    def __init__(
        self,
        executor: Executor,
        points: Mapping[str, OperatingPoint],
        point_of: Sequence[int],
        gate: Gate,
        calibrators: Sequence[Calibrator],
        active: str,
    ) -> None:
        self._executor = executor
        self._plans = {
            name: Plan.of(point.configuration, point_of, gate, calibrators) for name, point in points.items()
        }
        self._active = active, self._plan(active)

    @property
    def active(self) -> str:
        """Name of the operating point that the next batch will use."""
        return self._active[0]

    def use(self, name: str) -> "EarlyExitModel":
        """This model, from the next batch on at the operating point `name`.

        Raises:
            UnknownNameError: listing the operating points.
        """
        self._active = name, self._plan(name)
        return self

    def __call__(self, inputs: Inputs, on_resolved: OnResolved | None = None) -> Outcome:
        """The outcome of a batch, in input order.

        Args:
            inputs: as the backbone takes them.
            on_resolved: called once per item as soon as its answer is known.
        """
        return run(self._executor, self._active[1], inputs, on_resolved)

    def _plan(self, name: str) -> Plan:
        if name not in self._plans:
            raise UnknownNameError.among("operating point", name, self._plans)
        return self._plans[name]
