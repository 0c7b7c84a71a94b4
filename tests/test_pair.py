"""A pair is its name, and knows its modalities."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from mcd.errors import McdError
from mcd.pair import Pair


def test_a_pair_is_its_name() -> None:
    pair = Pair("CT-PET")
    assert pair == "CT-PET" == f"{pair}" == json.loads(json.dumps(pair))
    assert pair.modalities == ("CT", "PET")
    assert Pair.of("PET", "CT") == "PET-CT" != pair
    assert {str(pair): 1}[pair] == 1


@pytest.mark.parametrize("name", ["CT", "CT-", "-PET", "CT-CT", "CT-PET-MR", ""])
def test_what_does_not_join_two_modalities_is_refused(name: str) -> None:
    with pytest.raises(McdError, match="two different modalities joined by a hyphen"):
        Pair(name)
    with pytest.raises(ValidationError, match="two different modalities"):
        TypeAdapter(Pair).validate_python(name)


def test_a_field_reads_text_and_writes_plain_text() -> None:
    adapter = TypeAdapter(list[Pair])
    [pair] = adapter.validate_python(["CT-PET"])
    assert isinstance(pair, Pair)
    [dumped] = adapter.dump_python([pair])
    assert type(dumped) is str  # what workflow scripts are given must unpickle without mcd
