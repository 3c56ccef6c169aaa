"""What every script is made of: command line, one-line errors, job, folder, provenance, going on with a run."""
