"""What the speed claims rest on: `python -m tests.benchmarks`. Ratios against yardsticks of the same run."""
