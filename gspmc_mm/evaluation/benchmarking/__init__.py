"""What `tools/benchmark.py` measures: networks, the data pipeline, scaling; and how it measures it fairly."""
