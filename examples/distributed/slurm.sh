#!/bin/bash
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8     # one process for each GPU
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120       # two minutes before the end, the training is saved
#SBATCH --requeue

RUN=/shared/runs/first          # a folder that all nodes see
if [ -e "$RUN/recipe.toml" ]; then
    srun jaxcnn train --resume "$RUN"
else
    srun jaxcnn train /shared/own.toml --out "$RUN"
fi
