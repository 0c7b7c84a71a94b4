"""Projection heads and prototypes."""

import torch
from torch import nn

from mcd.models.heads import Prototypes, projection_head


def test_a_head_normalises_its_hidden_layers_only() -> None:
    head = projection_head(6, 8, 4)
    assert [type(layer) for layer in head] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert head(torch.randn(5, 6)).shape == (5, 4)
    assert head[0].bias is None  # the normalisation has one
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in projection_head(6, 8, 4, batch_norm=False))
    assert len(projection_head(6, 4)) == 1


def test_prototypes_give_cosines_and_go_back_to_length_one() -> None:
    torch.manual_seed(0)
    prototypes = Prototypes(5, 7)
    embeddings = nn.functional.normalize(torch.randn(3, 5), dim=1)
    assert prototypes(embeddings).abs().max() <= 1
    with torch.no_grad():
        prototypes.weight.mul_(3)
    prototypes.renormalise()
    assert torch.allclose(prototypes.weight.norm(dim=1), torch.ones(7))
    assert [name for name, _ in prototypes.named_parameters()] == ["weight"]
