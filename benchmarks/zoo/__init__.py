"""Whether any architecture can be left: a conformance run over the model zoos, with random weights."""
