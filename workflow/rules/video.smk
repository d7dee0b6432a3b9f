rule extract_frames:
    output:
        temp("results/frames/shard-{shard}.h5"),
    log:
        "logs/extract_frames/shard-{shard}.log",
    priority: 0
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(120),
        # Limited by --resources, it bounds the temporary disk: frames lie there from the start of
        # this job to the end of detect_faces, which goes before the next of this rule.
        frames_on_disk=1,
    params:
        dataset=DATASET,
        shards=len(SHARDS),
        script=script("extract_frames.py"),
        record=lambda wildcards: Untracked(record_of(wildcards.shard)),
        frames=argument(SETTINGS["frames"]),
        # No input: clips.csv changes with every label, a shard's videos don't. Their digest says.
        videos=shard_digest,
        code=frames_code,
    shell:
        "python {params.script:q} --dataset {params.dataset:q} --shards {params.shards}"
        " --shard {wildcards.shard} --frames {params.frames:q} --threads {threads}"
        " --code {params.code} --record {params.record} --output {output} > {log} 2>&1"
