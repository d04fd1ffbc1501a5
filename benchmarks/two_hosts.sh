#!/bin/bash
# Two network namespaces stand for two hosts: a scheduler and the driver in one, two workers in the other (root, Linux).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd); python=${PYTHON:-$here/.venv/bin/python}; export PYTHONPATH=$here
ip netns add wdl-a; ip netns add wdl-b
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; ip netns del wdl-a; ip netns del wdl-b' EXIT
ip link add wdl0 netns wdl-a type veth peer name wdl1 netns wdl-b
ip -n wdl-a addr add 10.77.0.1/24 dev wdl0; ip -n wdl-b addr add 10.77.0.2/24 dev wdl1
for side in a b; do ip -n wdl-$side link set lo up; done
ip -n wdl-a link set wdl0 up; ip -n wdl-b link set wdl1 up
ip netns exec wdl-a "$python" -m distributed.cli.dask_scheduler --host 10.77.0.1 --port 8786 --no-dashboard >/dev/null 2>&1 &
sleep 4
ip netns exec wdl-b "$python" -m distributed.cli.dask_worker tcp://10.77.0.1:8786 --nworkers 2 --nthreads 1 \
  --local-directory "$(mktemp -d)" --no-dashboard >/dev/null 2>&1 &
ip netns exec wdl-a "$python" "$here/benchmarks/bench_scale.py" shipped=tcp://10.77.0.1:8786
