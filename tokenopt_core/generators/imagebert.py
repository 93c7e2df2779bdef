"""ImageBert, the generator of TiTok-L-32 and B-64 (arXiv 2406.07550, section 3.3).

A BERT encoder (arXiv 1810.04805): post-norm, learned positions, no mask. Parameter names are those
of the checkpoints.

Axes: b images, l = 1 + n positions (the class, then the tokens), w width, k codebook size.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..compute.attention import attend
from .base import ClassGenerator, vocabulary_size
from .spec import GeneratorSpec

EPS = 1e-12
TYPES = 2  # of sentences in BERT; images are all of the first


class ImageBert(ClassGenerator):
    """A new one has random weights and trains like any module."""

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__(spec)
        width = spec.network.width
        layers = (
            Layer(width, spec.network.heads, spec.mlp_width) for _ in range(spec.network.layers)
        )
        self.model = nn.ModuleDict(
            {
                "embeddings": Embeddings(vocabulary_size(spec), 1 + spec.num_tokens, width),
                "encoder": nn.ModuleDict({"layer": nn.ModuleList(layers)}),
                "lm_head": nn.Linear(width, spec.codebook_size),
            }
        )
        self.apply(_init_weights)

    def network(self, ids: Tensor) -> Tensor:
        x = self.model["embeddings"](ids)
        for layer in self.model["encoder"]["layer"]:
            x = layer(x)
        return self.model["lm_head"](x[:, 1:])


class Embeddings(nn.Module):
    """Ids (b, l) -> (b, l, w): what a token is, where it is, and the first kind of sentence."""

    def __init__(self, words: int, positions: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, width)
        self.position_embeddings = nn.Embedding(positions, width)
        self.token_type_embeddings = nn.Embedding(TYPES, width)
        self.LayerNorm = nn.LayerNorm(width, EPS)

    def forward(self, ids: Tensor) -> Tensor:
        every = self.position_embeddings.weight + self.token_type_embeddings.weight[0]
        return self.LayerNorm(self.word_embeddings(ids) + every)


class Layer(nn.Module):
    """Attention and an MLP, each added to its input and then normalized."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        own = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict({"self": nn.ModuleDict(own), "output": _output(width)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.output = _output(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = (
            self.attention["self"][name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = attend(*parts).transpose(1, 2).flatten(2)  # (b, l, w)
        x = _added(self.attention["output"], attended, x)
        return _added(self.output, F.gelu(self.intermediate["dense"](x)), x)


def _output(inputs: int, width: int | None = None) -> nn.ModuleDict:
    width = width or inputs
    return nn.ModuleDict({"dense": nn.Linear(inputs, width), "LayerNorm": nn.LayerNorm(width, EPS)})


def _added(output: nn.ModuleDict, inner: Tensor, x: Tensor) -> Tensor:
    return output["LayerNorm"](output["dense"](inner) + x)


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
