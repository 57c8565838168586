"""Prints class and exit of each sample: python without_offramp.py FOLDER POINT INPUTS.npz"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def load(path, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # sessions that wait would disturb others
    return onnxruntime.InferenceSession(str(path), options)


def leave(stages, sessions, threshold, state):
    alive = np.arange(len(state[0]))
    answer, exits = np.empty((2, len(alive)), int)
    for stage, session in zip(stages, sessions, strict=True):
        given = dict(zip(stage["inputs"], state, strict=True))
        names = [*stage["state"], *stage["logits"], *stage["score"]]
        found = session.run(names, {one.name: given[one.name] for one in session.get_inputs()})
        said, stay = dict(zip(names, found, strict=True)), np.ones(len(alive), bool)
        for exit_, logits, score in zip(stage["exits"], stage["logits"], stage["score"], strict=True):
            go = stay & (said[score].astype(float) >= threshold[exit_] if stage["state"] else True)
            answer[alive[go]], exits[alive[go]] = said[logits][go].argmax(1), exit_
            stay &= ~go
        alive, state = alive[stay], [said[name][stay] for name in stage["state"]]
        if len(alive) == 0:
            break
    return answer, exits


if __name__ == "__main__":
    folder, point, data = Path(sys.argv[1]), sys.argv[2], np.load(sys.argv[3])
    routing = json.loads((folder / "routing.json").read_text())
    entry = routing["points"][routing["aliases"].get(point, point)]
    stages = routing["cuts"][entry["cut"]]
    state = [data[name.removesuffix("_of_heads")] for name in stages[0]["inputs"]]  # heads read the mask once more
    found = leave(stages, [load(folder / stage["file"]) for stage in stages], entry["threshold"], state)
    np.savetxt(sys.stdout, np.transpose(found), "%d")
