"""The report: figures, one HTML page, a terminal table and a W&B dashboard, from result files alone."""
