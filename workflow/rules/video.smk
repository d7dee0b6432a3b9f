rule extract_frames:
    input:
        # A new label or a new clip in another shard changes this table, but not this shard's
        # pixels: the digest below says what does.
        clips=ancient(rules.index_dataset.output.clips),
    output:
        temp("results/frames/shard-{shard}.h5"),
    log:
        "logs/extract_frames/shard-{shard}.log",
    priority: 0
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(120),
    params:
        root=root,
        script=script("extract_frames.py"),
        frames=argument(SETTINGS["frames"]),
        videos=shard_digest,
        code=code("extract_frames.py"),
    shell:
        "python {params.script} --clips {input.clips} --root {params.root:q}"
        " --shard {wildcards.shard} --frames {params.frames:q} --output {output}"
        " > {log} 2>&1"
