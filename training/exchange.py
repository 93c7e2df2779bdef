"""The tokenizer's last stage: lighting and focus move into one token each.

Trained plainly, the demo tokenizer spreads lighting over five tokens and focus over three, so that
copying one token does not do what it does in the paper (arXiv 2506.08257, section 3.1). Here one
token of a scene is replaced by another scene's, and the decoder must draw the first scene in the
second one's light, or focus. This is supervision that the released tokenizers never had.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.demo.world import ATTRIBUTES, Attributes, render_scenes, sample_attributes

from .loop import attribute_loss, set_lr
from .tokenizer import TokenizerTask

CARRIERS = {"light": 6, "focus": 15}  # attribute: position; two where plain training had put some
SHARES = (0.3, 0.7)  # of the exchanges; a sharp outline is learnt last
NAMED_WEIGHT = 0.3  # an outline is a few pixels, and an error in pixels hardly sees it


class ExchangeTask(TokenizerTask):
    """Reconstruction of half of the batch, and scenes with one token exchanged in the other."""

    name = "tokenizer-exchange"
    peak_lr = 8e-4

    def step(self, progress: float) -> dict[str, float]:
        """One update of encoder, decoder and codebook."""
        set_lr(self.optimizer, progress, self.peak_lr)
        half = self.batch // 2
        donors, donor_rows = self.pool.batch(half, self.generator)
        scenes, rows, wanted, wanted_rows, position = self._pairs(donor_rows)
        images, indices = torch.cat([donors, scenes]), torch.cat([donor_rows, rows])
        tokens, commitment, spread = self._tokens(images, 0.5 + progress / 2)
        hidden = functional.gelu(self.hidden(tokens.flatten(1)))
        attributes = attribute_loss([head(hidden) for head in self.heads], indices)
        mixed = exchange(tokens[half:], tokens[:half], position)
        drawn, figures = self._drawing_loss(
            torch.cat([mixed, tokens[:half]]),
            torch.cat([wanted, donors]),
            torch.cat([wanted_rows, donor_rows]),
            1.0,
            NAMED_WEIGHT,
        )
        loss = drawn + 0.1 * attributes + 0.25 * commitment + 0.05 * spread
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(nn.ModuleList([self.model, self.whiten]), progress)
        return figures | {"attributes": attributes.item(), "codes": self.codebook.used()}

    def _pairs(self, donors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Scenes (n, 3, 64, 64), their attributes (n, 8), the same in the donor's light or focus
        with theirs, and the position (n,) of the token that carries it."""
        n = len(donors)
        rows = sample_attributes(n, self.generator).indices
        wanted = rows.clone()
        names = list(ATTRIBUTES)
        which = torch.multinomial(torch.tensor(SHARES), n, True, generator=self.generator)
        differ = torch.rand(n, generator=self.generator) < 0.8
        for k, name in enumerate(CARRIERS):
            column = names.index(name)
            other = (donors[:, column] + 1) % len(ATTRIBUTES[name])
            rows[:, column] = torch.where((which == k) & differ, other, rows[:, column])
            wanted[:, column] = torch.where(which == k, donors[:, column], rows[:, column])
        pose = int(torch.randint(2**31, (1,), generator=self.generator))
        drawn = [
            render_scenes(Attributes(r), torch.Generator().manual_seed(pose))
            for r in (rows, wanted)
        ]
        return drawn[0], rows, drawn[1], wanted, torch.tensor(list(CARRIERS.values()))[which]


def exchange(tokens: Tensor, donors: Tensor, position: Tensor) -> Tensor:
    """Tokens (n, k, d) with the donor's token at each row's own position (n,)."""
    chosen = functional.one_hot(position, tokens.shape[1]).bool().unsqueeze(-1)
    return torch.where(chosen, donors, tokens)
