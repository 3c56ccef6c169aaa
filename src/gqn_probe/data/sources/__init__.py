"""Sources of scenes, each divided into pieces that become shards of a store."""
