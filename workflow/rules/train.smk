# One rule a part of an experiment, one job a cell: all runs of its packed axes are trained together.
for part in [part for experiment in TIER.experiments for part in parts(experiment)]:

    rule:
        name:
            f"train_{part.name}"
        input:
            # Ancient, both: whether runs are current is told by their hashes below, which know the
            # data, and not by the date of a copy of the data or of a file that names all runs.
            data=for_cell(part, cell_data, ancient),
            config=ancient(LAYOUT.config),
        output:
            metrics=[
                LAYOUT.run(part.experiment, folder) / "metrics.json"
                for folder in part.run_patterns
            ],
            arrays=[
                LAYOUT.run(part.experiment, folder) / "arrays.npz"
                for folder in part.run_patterns
            ],
        log:
            LAYOUT.log(f"train/{part.experiment}/{part.pattern}"),
        benchmark:
            LAYOUT.benchmark(f"train/{part.experiment}/{part.pattern}")
        wildcard_constraints:
            **part.constraints,
        conda:
            ENVIRONMENT
        threads: 1 if ON_GPU else TIER.execution.threads
        resources:
            gpu=int(ON_GPU),
        params:
            experiment=part.experiment,
            cell=for_cell(part, cell_folder),
            hashes=for_cell(part, cell_hashes),
        message:
            "training {params.experiment} {params.cell}"
        shell:
            "vaebench run --tier {input.config:q} --experiment {params.experiment:q} "
            "--cell {params.cell:q} --threads {threads} 2>&1 | tee {log:q}"
