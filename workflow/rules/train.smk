# One rule an experiment, one job a cell: all runs of its packed axes are trained together.
from vaebench.training.device import expects_gpu

ON_GPU = expects_gpu(TIER.execution.device)

for experiment in TIER.experiments:

    rule:
        name:
            f"train_{experiment.name}"
        input:
            # Ancient, both: whether runs are current is told by their hashes below, which know the
            # data, and not by the date of a copy of the data or of a file that names all runs.
            data=for_cell(experiment, cell_data, ancient),
            config=ancient(LAYOUT.config),
        output:
            metrics=[
                LAYOUT.run(experiment.name, folder) / "metrics.json"
                for folder in run_patterns(experiment)
            ],
            arrays=[
                LAYOUT.run(experiment.name, folder) / "arrays.npz"
                for folder in run_patterns(experiment)
            ],
        log:
            LAYOUT.log(f"train/{experiment.name}/{cell_pattern(experiment)}"),
        benchmark:
            LAYOUT.benchmark(f"train/{experiment.name}/{cell_pattern(experiment)}")
        wildcard_constraints:
            **constraints(experiment),
        conda:
            ENVIRONMENT
        threads: 1 if ON_GPU else TIER.execution.threads
        resources:
            gpu=int(ON_GPU),
        params:
            experiment=experiment.name,
            cell=for_cell(experiment, cell_folder),
            hashes=for_cell(experiment, cell_hashes),
        shell:
            "vaebench run --tier {input.config:q} --experiment {params.experiment:q} "
            "--cell {params.cell:q} --threads {threads} 2>&1 | tee {log:q}"
