"""The benchmark runs; its numbers are for `make bench` on a quiet machine."""

from __future__ import annotations

from tests import bench_pretraining


def test_the_benchmark_prints_its_table(capsys):
    result = bench_pretraining.main(["--quick"])
    printed = capsys.readouterr().out
    for row in ("tokens/s, AdamW as Trainer", "tokens/s, Muon and AdamW", "GFLOP/s in matrix products",
                "seconds to 0.10", "seconds to 0.05"):
        assert row in printed
    assert all(rate > 0 for rates in result["rates"].values() for rate in rates)
    # three times the forward pass: a layer and a part of one, the rest of the model on the scored words only
    assert 1.2e6 < sum(result["operations_per_token"].values()) < 4e6
    assert set(result["shares"]) == {"ours", "ours, AdamW"}
    assert all(0 < share < 1 for share in result["shares"].values())
