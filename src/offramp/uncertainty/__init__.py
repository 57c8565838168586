"""How far probabilities and answers can be believed; NumPy only.

Everything takes probabilities `(samples, classes)`, or those of all exits `(exits, samples, classes)` and the exit at
which each sample left, and a target: labels, or the backbone's class where there are none.
"""
