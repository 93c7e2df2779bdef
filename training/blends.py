"""CLIP's last stage: images between two scenes.

A CLIP that is right about every scene can still be flat between them: a purple heart is not at all
yellow, and no small change makes it a little yellow. An optimizer then has no way to go. Here half
of the images are blends of two scenes that differ in one or two attributes, and the loss asks for
as much of each as there is of it (mixup, Zhang et al., 2017, on pairs of our own choice).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.demo.world import ATTRIBUTES, Attributes, render_scenes, sample_attributes

from .attention import plain_attention
from .clip import MEAN, STD, ClipTask, matching_loss, text_ids
from .loop import set_lr


class BlendTask(ClipTask):
    """Contrastive training on scenes and, half of the batch, on blends of two."""

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of images and captions for both scenes of each blend."""
        set_lr(self.optimizer, progress, self.peak_lr)
        half = self.batch // 2
        scenes, indices = self.pool.batch(half, self.generator)
        blends, firsts, seconds, share = self._blends(half)
        texts, named, wanted = self._captions(torch.cat([indices, firsts, seconds]))
        with torch.autocast("cpu", torch.bfloat16), plain_attention():
            images = torch.cat([self._augment(scenes), self._augment(blends)])
            image_raw = self.clip.encode_image((images - MEAN) / STD).float()
            text = self.clip.encode_text(text_ids(self.tokenizer, texts), normalize=True).float()
        image = functional.normalize(image_raw, dim=-1)
        logits = self.clip.logit_scale.exp().clamp(max=60) * image @ text.T
        matches = [
            ((rows.unsqueeze(1) == wanted) | ~named).all(-1) for rows in (indices, firsts, seconds)
        ]
        guesses = [head(image_raw) for head in self.heads]
        plain = matching_loss(logits[:half], matches[0])
        between = blend_loss(logits[half:], matches[1], share)
        between = between + blend_loss(logits[half:], matches[2], 1 - share)
        attributes = soft_attribute_loss([g[:half] for g in guesses], indices, torch.ones(half))
        for rows, part in ((firsts, share), (seconds, 1 - share)):
            attributes = attributes + soft_attribute_loss([g[half:] for g in guesses], rows, part)
        loss = plain + between + attributes
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.clip.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.clip, progress)
        return {"plain": plain.item(), "between": between.item(), "attributes": attributes.item()}

    def _blends(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Blends (n, 3, 64, 64), the attributes (n, 8) of both scenes, and the first one's share.

        Both are drawn in the same pose; shape, colour or both differ, seldom another attribute.
        """
        first = sample_attributes(n, self.generator).indices
        second = first.clone()
        for column, (name, values) in enumerate(ATTRIBUTES.items()):
            chance = 0.6 if name in ("shape", "colour") else 0.1
            chosen = torch.rand(n, generator=self.generator) < chance
            shift = torch.randint(1, len(values), (n,), generator=self.generator)
            changed = (second[:, column] + shift) % len(values)
            second[:, column] = torch.where(chosen, changed, second[:, column])
        pose = int(torch.randint(2**31, (1,), generator=self.generator))
        drawn = [
            render_scenes(Attributes(rows), torch.Generator().manual_seed(pose))
            for rows in (first, second)
        ]
        share = torch.rand(n, generator=self.generator)
        amount = share.view(-1, 1, 1, 1)
        return amount * drawn[0] + (1 - amount) * drawn[1], first, second, share


def blend_loss(logits: Tensor, match: Tensor, share: Tensor) -> Tensor:
    """Mean over images (n, captions) of the cross-entropy of the matching captions, times share."""
    positive = logits.masked_fill(~match, -torch.inf)
    gap = torch.logsumexp(logits, 1) - torch.logsumexp(positive, 1)
    return (gap * share).mean()


def soft_attribute_loss(logits: list[Tensor], indices: Tensor, share: Tensor) -> Tensor:
    """Mean cross-entropy (scalar) over attributes and images, weighted by each image's share."""
    losses = [
        (functional.cross_entropy(values.float(), indices[:, k], reduction="none") * share).mean()
        for k, values in enumerate(logits)
    ]
    return torch.stack(losses).mean()
