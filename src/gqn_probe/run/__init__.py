"""Parts of every script: command line, one-line errors, job, devices, folder, provenance, resuming."""
