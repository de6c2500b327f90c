"""Names in two libraries by rules."""

import pytest

from jaxcnn import models
from jaxcnn.interchange.names import translate
from jaxcnn.interchange.torch_names import CONVENTIONS
from jaxcnn.layers.weights import array_shapes
from jaxcnn.models.registry import find_entry


@pytest.mark.parametrize(
    ("rules", "name", "expected"),
    [
        ({"conv_{k}": "c{k-1}"}, "conv_10.kernel", "c9.weight"),
        ({"a_{i}.[body.]b": "x{i+2}"}, "a_1.body.b.bias", "x3.bias"),
        ({"a_{i}.[body.]b": "x{i+2}"}, "a_1.b.mean", "x3.running_mean"),
        ({"a.scale": "gamma"}, "a.scale", "gamma"),
        ({"a.scale": "gamma"}, "a.bias", None),
        ({"s{i}.{x}.{path}.{last}.c": "{x}_{last}"}, "s5.b.p_1.q.r7.c.var", "b_r7.running_var"),
        ({"a{i}": "first", "a{i}b": "never"}, "a1b.bias", "never.bias"),
        ({"a.b": "dots are no wildcards"}, "axb.bias", None),
    ],
)
def test_rules(rules, name, expected):
    assert translate([name], rules) == {name: expected}


def test_blocks_are_counted_through_all_stages():
    names = [f"s_{i}.b_{j}.bias" for i in (10, 2, 1) for j in (2, 1)]
    found = translate(names, {"s_{i}.b_{j}": "{n}"})
    assert [found[f"s_{i}.b_{j}.bias"] for i in (1, 2, 10) for j in (1, 2)] == [
        f"{n}.bias" for n in range(6)
    ]


@pytest.mark.parametrize("family", CONVENTIONS)
def test_every_array_of_a_family_has_one_name(family):
    name = next(n for n in models.names() if find_entry(n).family == family)
    own = array_shapes(models.create(name), models.input_shape(name))
    for convention in CONVENTIONS[family]:
        there = translate(own, convention.rules(own))
        assert None not in there.values()
        assert len(set(there.values())) == len(own)
