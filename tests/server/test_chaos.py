"""A short kill storm; ``make chaos`` runs a long one."""

import json

import pytest

from bench import chaos

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_kill_storm_loses_doubles_and_leaves_nothing(tmp_path):
    result = chaos.run(jobs=40, seconds=25, seed=7, folder=tmp_path / "storm")
    assert result["faults_total"] >= 10
    assert result["acknowledged"] == 40
    assert chaos.is_clean(result), json.dumps(result)
