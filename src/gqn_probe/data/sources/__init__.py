"""Sources of scenes, each in pieces that become shards of a store."""
