# Run by Snakemake in the environment of affectflow.yaml, once it is made.
set -eu
python -m pip install --quiet --no-deps --require-hashes --requirement /dev/stdin <<'END'
facenet-pytorch==2.6.0 \
    --hash=sha256:ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca
END
