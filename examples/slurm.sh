#!/bin/bash
# Train a generator on several nodes:  sbatch --nodes 4 examples/slurm.sh xl SHARDS [more settings]
# One task per GPU; Lightning reads the rest from SLURM. Two minutes before its time is up the job is sent SIGUSR1, on
# which it writes a checkpoint between two steps and ends with status 75: then it is queued again and goes on from there.
#SBATCH --job-name=kinetoscope
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=SIGUSR1@120
#SBATCH --requeue
set -uo pipefail
config=${1:?the name of a config in configs/generator, such as xl}
shards=${2:?the folder of the shards, which every node can read}

srun python -m kinetoscope.generator fit --config "configs/generator/$config.yaml" \
    --data.root "$shards" \
    --trainer.num_nodes "$SLURM_NNODES" \
    --trainer.devices "$SLURM_NTASKS_PER_NODE" \
    --ckpt_path last "${@:3}"
status=$?
[ $status = 75 ] && exec scontrol requeue "$SLURM_JOB_ID"
exit $status
