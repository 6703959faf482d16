#!/usr/bin/env bash
# Train on all GPUs of one machine, or of several:  tools/dist_train.sh CONFIG GPUS [options of train.py]
# Without a GPU the processes talk through gloo on the CPU.
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT as for torchrun.
set -euo pipefail
CONFIG=${1:?usage: tools/dist_train.sh CONFIG GPUS [options]}
GPUS=${2:?usage: tools/dist_train.sh CONFIG GPUS [options]}
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node-rank="${NODE_RANK:-0}" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" --master-port="${PORT:-29500}" \
    --nproc-per-node="$GPUS" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
