"""Adam (Kingma and Ba, 2014) on one tensor, with a state that can be cleared."""

from __future__ import annotations

from torch import Tensor


class Adam:
    """Adam without weight decay; the state lives in the precision of the gradients (fp32 here).

    Written out, not `torch.optim.Adam`: the loop needs new tensors instead of in-place updates, a
    reset of the moments, and no device synchronisation.
    """

    def __init__(self, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.lr = lr
        self.betas = betas
        self.eps = eps
        self.reset()

    def reset(self) -> None:
        """Forget the moments, as at the start."""
        self._count = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def step(self, value: Tensor, gradient: Tensor) -> Tensor:
        """`value` after one step against `gradient`, a new tensor."""
        first, second = self.betas
        if self._mean is None:
            self._mean = gradient.new_zeros(gradient.shape)
            self._square = gradient.new_zeros(gradient.shape)
        self._count += 1
        self._mean.lerp_(gradient, 1 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = (self._square.sqrt() / (1 - second**self._count) ** 0.5).add_(self.eps)
        return value.addcdiv(self._mean, scale, value=-self.lr / (1 - first**self._count))
