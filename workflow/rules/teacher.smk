localrules:
    download_fec,


# Not part of `all`: it asks the hosts of 150,000 photos of people, and takes days.
rule download_fec:
    output:
        "results/teacher/dead_links.csv",
    log:
        "logs/teacher/download_fec.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=longer(1440),
    params:
        script=script("download_fec.py"),
        # What was downloaded stays in the folder, whatever the code was.
        fec=argument(SETTINGS.get("teacher", {}).get("fec", {})),
    shell:
        "python {params.script:q} --fec {params.fec:q} --report {output} > {log} 2>&1"
