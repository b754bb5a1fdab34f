"""Damaged documents end as done or as a failure that is explained; bench/mutants.py runs many more."""

import pytest

from bench.mutants import Laboratory, generated, mutants


def test_mutants_are_the_same_for_the_same_seed():
    good = {"a.txt": b"some words", "b.zip": b"PK\x03\x04 no archive"}
    one, two, other = (list(mutants(good, 20, seed)) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    assert len({mutant.data for mutant in one}) > 10


@pytest.mark.timeout(240)
def test_every_mutant_ends_as_done_or_explained(tmp_path):
    with Laboratory(tmp_path) as laboratory:
        outcome = laboratory.try_all(mutants(generated(), 100, seed=5), one_plugin_each=True)
    assert outcome.unexplained == []
    assert outcome.runs >= 90
    assert {"done", "corrupt"} <= {code for _, code in outcome.ends}
