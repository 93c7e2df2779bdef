"""Trains the demo CLIP: an open_clip model over the demo world's small vocabulary."""

from __future__ import annotations

import random
from typing import Any

import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.demo.captions import compose, vocabulary
from tokenopt_core.demo.world import ATTRIBUTES, Attributes

from .attention import plain_attention
from .classifiers import degrade
from .loop import WeightAverage, attribute_loss, set_lr
from .scenes import ScenePool

SPECIAL = ("[PAD]", "[UNK]", "[BOS]")
WORDS = (*SPECIAL, *(w for w in vocabulary() if w.isalpha()), "[EOS]")
CONTEXT = 32
MEAN, STD = 0.5, 0.25
MODEL: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": 64,
        "timm_model_name": "regnetx_002",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
    },
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": len(WORDS),
        "width": 128,
        "heads": 4,
        "layers": 2,
        "hf_tokenizer_name": "local",
        "tokenizer_kwargs": {"clean": "whitespace"},
    },
}


def word_tokenizer() -> Tokenizer:
    """Lower-case words, punctuation dropped, between [BOS] and [EOS]; other words are [UNK]."""
    ids = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(",", " ")]
    )
    tokenizer.normalizer = normalizers.Sequence(
        [tokenizer.normalizer, normalizers.Replace(".", " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[(w, ids[w]) for w in ("[BOS]", "[EOS]")]
    )
    return tokenizer


def text_ids(tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """Padded ids (n, CONTEXT)."""
    ids = torch.zeros(len(texts), CONTEXT, dtype=torch.int64)
    for row, encoding in enumerate(tokenizer.encode_batch(texts)):
        ids[row, : len(encoding.ids)] = torch.tensor(encoding.ids)
    return ids


class ClipTask:
    """Contrastive training with captions that name some attributes, and hard negatives.

    A caption matches every image that has all the attributes it names, so that short captions have
    many right images. Each image also meets a caption that is wrong in one attribute. The attribute
    loss on the image embedding weighs more than the contrast: without it shape is learnt last.
    """

    def __init__(
        self,
        pool: ScenePool,
        *,
        steps: int = 12000,
        batch: int = 64,
        seed: int = 11,
        name: str = "clip",
        peak_lr: float = 2.5e-3,
    ):
        torch.manual_seed(seed)
        self.name, self.peak_lr = name, peak_lr
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.random = random.Random(seed)
        self.tokenizer = word_tokenizer()
        self.clip = CLIP(**MODEL)
        self.heads = nn.ModuleList(nn.Linear(128, len(v)) for v in ATTRIBUTES.values())
        self.average = WeightAverage(self.clip)
        self.modules = {"clip": self.clip, "heads": self.heads, "average": self.average}
        parameters = [*self.clip.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, self.peak_lr, weight_decay=0.05)

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of images and twice as many captions."""
        set_lr(self.optimizer, progress, self.peak_lr)
        images, indices = self.pool.batch(self.batch, self.generator)
        texts, named, wanted = self._captions(indices)
        with torch.autocast("cpu", torch.bfloat16), plain_attention():
            image_raw = self.clip.encode_image((self._augment(images) - MEAN) / STD).float()
            text = self.clip.encode_text(text_ids(self.tokenizer, texts), normalize=True).float()
        image = functional.normalize(image_raw, dim=-1)
        logits = self.clip.logit_scale.exp().clamp(max=60) * image @ text.T  # (images, captions)
        same = (indices.unsqueeze(1) == wanted.unsqueeze(0)) | ~named.unsqueeze(0)
        contrast = matching_loss(logits, same.all(dim=-1))
        attributes = attribute_loss([head(image_raw) for head in self.heads], indices)
        loss = contrast + 2.0 * attributes
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.clip.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.clip, progress)
        return {"contrast": contrast.item(), "attributes": attributes.item()}

    def _augment(self, images: Tensor) -> Tensor:
        """Random crops of 56 pixels, enlarged to 64, a quarter of them the whole picture."""
        images = degrade(images, self.generator)
        y, x = torch.randint(0, 9, (2,), generator=self.generator).tolist()
        crops = images[:, :, y : y + 56, x : x + 56]
        resized = functional.interpolate(crops, 64, mode="bilinear", antialias=True)
        cropped = len(images) * 3 // 4
        return torch.cat([resized[:cropped], images[cropped:]])

    def _captions(self, indices: Tensor) -> tuple[list[str], Tensor, Tensor]:
        """For each image a right caption, then for each one that is wrong in one attribute.

        Returns:
            texts (2n), which attributes each names (2n, 8) bool, and their values (2n, 8).
        """
        n, names = len(indices), list(ATTRIBUTES)
        wanted = indices.repeat(2, 1)
        named = torch.zeros(2 * n, len(names), dtype=torch.bool)
        texts = [""] * (2 * n)
        for row in range(n):
            keep = self._keep()
            wrong = self.random.choice(keep[:2] if self.random.random() < 0.7 else keep)
            column, count = names.index(wrong), len(ATTRIBUTES[wrong])
            shift = self.random.randrange(1, count)
            wanted[n + row, column] = (wanted[n + row, column] + shift) % count
            for place in (row, n + row):
                named[place, [names.index(k) for k in keep]] = True
        scenes = Attributes(wanted).names()
        for place, scene in enumerate(scenes):
            keep = [k for k, used in zip(names, named[place].tolist(), strict=True) if used]
            texts[place] = compose(scene, keep, self.random)
        return texts, named, wanted

    def _keep(self) -> list[str]:
        names = list(ATTRIBUTES)
        if self.random.random() < 0.3:
            return names
        chance = (0.95, 0.9, 0.5, 0.5, 0.4, 0.4, 0.35, 0.35)
        keep = [k for k, p in zip(names, chance, strict=True) if self.random.random() < p]
        return keep or ["shape"]


def matching_loss(logits: Tensor, match: Tensor) -> Tensor:
    """Mean cross-entropy (scalar) of images to captions and back, several right answers allowed."""
    positive = logits.masked_fill(~match, -torch.inf)
    losses = []
    for dim in (1, 0):
        some = match.any(dim)
        gap = torch.logsumexp(logits, dim) - torch.logsumexp(positive, dim)
        losses.append(gap[some].mean())
    return torch.stack(losses).mean()
