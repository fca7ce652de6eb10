#!/bin/bash
# Train a generator on several nodes:  sbatch --nodes 4 examples/slurm.sh xl SHARDS
# One task per GPU; Lightning reads the rest from SLURM. The job is sent SIGUSR1 two minutes before its time is up, on
# which Lightning writes a checkpoint and queues the job again; --ckpt_path last goes on after a failure.
#SBATCH --job-name=kinetoscope
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=SIGUSR1@120
#SBATCH --requeue
set -euo pipefail
config=${1:?the name of a config in configs/generator, such as xl}
shards=${2:?the folder of the shards, which every node can read}

srun python -m kinetoscope.generator fit --config "configs/generator/$config.yaml" \
    --data.root "$shards" \
    --trainer.num_nodes "$SLURM_NNODES" \
    --trainer.devices "$SLURM_NTASKS_PER_NODE" \
    --ckpt_path last
