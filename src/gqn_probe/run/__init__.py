"""Parts of every script: command line, one-line errors, job, folder, provenance, going on with a run."""
