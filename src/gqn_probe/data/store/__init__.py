"""What is kept: shards of scenes, how they are written and read."""
