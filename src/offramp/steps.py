"""What `offramp.build` stands for, as a program of its steps that can be run and changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from offramp.options import Options
from offramp.pipeline import WORK

_PROGRAM = Template('''\
"""The steps of `offramp build`; run them, change them, or stop after any of them."""

from dataclasses import replace
from pathlib import Path

from offramp.assembly import assemble
from offramp.deciding import decide
from offramp.head_search import JOURNAL, found_heads, heads_at
from offramp.learning import attach, check_labels, record_networks, record_parts, record_training
from offramp.learning import train_backbone, train_heads
from offramp.load import load_model, open_source$imported
from offramp.measuring import profiles
from offramp.meant import meant
from offramp.model.points import analyse
from offramp.options import Options
from offramp.pipeline import example_of
from offramp.placing import places
from offramp.reading import reader
from offramp.split import Shares
from offramp.students import teach_students
from offramp.train.ensemble import fit_ensembles

options = $options
work = Path($work)  # features and checkpoints: an interrupted run goes on from here

# The model, and the data preprocessed as the model wants it.
loaded = load_model($model)
source = open_source($data)
extra = $extra

# Four disjoint parts: to train heads, to choose thresholds, to certify them, and to report.
parts = options.shares.divide(len(source), options.seed)

# What the model is for, and the places where it can be left.
example = example_of(source)
task = meant(options, loaded.model, example, loaded.preprocess)
options = replace(options, task=task.name)
recipe = options.chosen()
backbone = analyse(loaded.model, example, reader(task), nowhere=recipe.needs_small)
labels = $labels
check_labels(labels, recipe, extra)

$first# Some of these places, and untrained heads there: the recipe's, or those that a search finds where it has one.
points = places(backbone, task, source, parts, options, work)
journal = Path($out) / JOURNAL
found = found_heads(backbone, task, source, points, labels, parts, options, work, journal=journal)
multi_exit = attach(backbone, points, options, reader(task), heads_at(found)$entry)

# Where the recipe says so, a copy of the backbone learns with its heads.
multi_exit, spent = train_backbone(multi_exit, task, source, labels, parts, options, work)

# One pass of the backbone over every part, and over augmented copies of what heads are trained on; then it rests.
caches = record_parts(multi_exit, task, source, parts, options, work)
task = task.settled(caches["choose"].logits)  # what it left open, such as a tolerance
lessons = record_training(multi_exit, task, source, extra, parts, options, work)

# The heads learn to answer like the backbone$learn, unless they have; a gate may learn with them.
gate = train_heads(multi_exit, lessons, recipe, labels, parts, options, work).gate

# So do smaller copies of it, where the recipe has any.
teach_students(multi_exit, task, lessons, options, work)

# What every exit says about the other three parts, together with those before it where the recipe says so.
caches = record_networks(multi_exit, task, source, parts, options, work, caches)
fit_ensembles(multi_exit, caches["choose"], task, None if labels is None else labels[parts["choose"]])
recordings = {part: multi_exit.record(cache) for part, cache in caches.items()}

# Calibrate and search on `choose`, prove on `certify`, measure on `report`.
decided = decide(multi_exit, recordings, task, labels, parts, options, gate)

# Seconds per segment and head on this machine; they decide nothing.
seconds = profiles(multi_exit, decided, task, source, parts, options)

made = (loaded, multi_exit, source, extra, parts, options, decided, seconds, task$small)
bundle = assemble(*made, spent=spent, found=found)
bundle.save($out)
''')

_FIRST = Template("""\
# The small model that answers first; it is given what the backbone is, and is not trained.
small = load_model($small)
entry = entry_of(small, loaded.preprocess, backbone, reader(task))

""")


def steps(
    model: str,
    data: str,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    extra_data: Sequence[str] = (),
    options: Options | None = None,
    preprocess: Mapping[str, Any] | None = None,
    label_file: str | Path | None = None,
    small: str | None = None,
    small_weights: str | Path | None = None,
) -> str:
    """The Python program that does what `offramp.build` does with the same arguments.

    Only the progress, the refusal to replace a bundle, and the removal of the work folder are left out.

    >>> program = steps("nets.py:net", "x.npz", "bundle")
    >>> next(line for line in program.splitlines() if line.startswith("loaded"))
    "loaded = load_model('nets.py:net')"
    """
    options = options or Options()
    model_arguments = _model(model, weights)
    if preprocess is not None:
        model_arguments.append(f"preprocess={dict(preprocess)!r}")
    data_arguments = [repr(data), "loaded.preprocess"]
    if label_file is not None:
        data_arguments.append(f"labels={str(label_file)!r}")
    more = ", ".join(f"open_source({one!r}, loaded.preprocess)" for one in extra_data)
    return _PROGRAM.substitute(
        options=repr(options),
        work=repr(str(Path(out) / WORK)),
        model=", ".join(model_arguments),
        data=", ".join(data_arguments),
        extra=f"[{more}]",
        labels="task.checked(source.labels(), backbone.classes)" if options.labels else "None  # not read",
        learn=", or the labels, as the recipe says" if options.labels else "",
        out=repr(str(out)),
        imported="\nfrom offramp.load.small import entry_of" if small is not None else "",
        first="" if small is None else _FIRST.substitute(small=", ".join(_model(small, small_weights))),
        entry=", entry" if small is not None else "",
        small=", small" if small is not None else "",
    )


def _model(spec: str, weights: str | Path | None) -> list[str]:
    return [repr(spec), *([repr(str(weights))] if weights is not None else [])]
