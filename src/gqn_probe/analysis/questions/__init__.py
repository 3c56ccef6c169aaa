"""What a probe is asked, under which control, and how objects are split."""
