"""A whole data set scored on a cluster, stage by stage."""
