"""The moving average of the features, safe with any number of steps."""

from __future__ import annotations

from torch import Tensor


class Ema:
    """An exponential moving average that is right from the first value on.

    With decay d the bias-corrected average after t values is sum_k d^(t-k) z_k * (1 - d) / (1 -
    d^t): the same as stepping towards the newest value by (1 - d) / (1 - d^t), so no zero start has
    to be divided out. `bias_corrected=False` is the published rule (the first value is copied, then
    steps of 1 - d), whose first value still weighs 68 % after 20 steps at d = 0.98.
    """

    def __init__(self, decay: float, *, bias_corrected: bool = True):
        self.decay = decay
        self.bias_corrected = bias_corrected
        self.restart()

    def restart(self) -> None:
        """Forget everything: the next value counts as the first."""
        self._count = 0
        self._average: Tensor | None = None

    def update(self, value: Tensor) -> Tensor:
        """The average after `value`, a new tensor that nothing else changes."""
        self._count += 1
        if self._average is None:
            self._average = value
        else:
            correction = 1 - self.decay**self._count if self.bias_corrected else 1
            self._average = self._average.lerp(value, (1 - self.decay) / correction)
        return self._average.clone()
