"""Makes a model repository for Triton of exported stages: python triton_repository.py FOLDER NAME POINT REPOSITORY"""

import json
import shutil
import sys
from pathlib import Path

import onnxruntime

TYPES = {"float": "FP32", "double": "FP64", "float16": "FP16", "int64": "INT64", "int32": "INT32", "bool": "BOOL"}
TYPES |= {"int8": "INT8", "uint8": "UINT8"}
NUMPY = {"float32": "FP32", "float64": "FP64", "float16": "FP16"}
MOST, DELAY = 64, 500  # samples of a batch, and microseconds that one waits for others


def tensor(name, kind, dims):
    # Triton knows no tensor of the batch axis alone: it calls such a one of one number each
    told = ", ".join(str(size) for size in dims) or "1"
    return f'  {{ name: "{name}" data_type: TYPE_{kind} dims: [ {told} ]{"" if dims else " reshape: { shape: [ ] }"} }}'


def described(value):
    dims = [size if isinstance(size, int) else -1 for size in value.shape[1:]]
    return tensor(value.name, TYPES[value.type.removeprefix("tensor(").rstrip(")")], dims)


def config(name, backend, inputs, outputs, more):
    ins, outs = ",\n".join(inputs), ",\n".join(outputs)
    head = f'name: "{name}"\nbackend: "{backend}"\nmax_batch_size: {MOST}\n'
    return f"{head}input [\n{ins}\n]\noutput [\n{outs}\n]\n{more}\n"


def stage(folder, repository, name, entry, number):
    """A stage as a model; which of its inputs the file really has."""
    model = f"{name}_stage{number}"
    place = repository / model
    (place / "1").mkdir(parents=True)
    shutil.copy(folder / entry["file"], place / "1" / "model.onnx")
    session = onnxruntime.InferenceSession(str(place / "1" / "model.onnx"), providers=["CPUExecutionProvider"])
    batches = f"dynamic_batching {{ max_queue_delay_microseconds: {DELAY} }}\ninstance_group [ {{ kind: KIND_CPU }} ]"
    ins, outs = map(described, session.get_inputs()), map(described, session.get_outputs())
    (place / "config.pbtxt").write_text(config(model, "onnxruntime", ins, outs, batches))
    return entry | {"model": model, "used": [one.name for one in session.get_inputs()]}


def router(repository, name, routing, point, stages):
    """The model that clients ask: sends samples from stage to stage."""
    place = repository / name
    (place / "1").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("triton_router.py"), place / "1" / "model.py")
    names = [one["name"] for one in routing["inputs"]]
    masked = len(stages[0]["inputs"]) > len(names)  # heads read the mask once more
    points = {one: entry for one, entry in routing["points"].items() if entry["cut"] == routing["points"][point]["cut"]}
    told = {"stages": stages, "points": points, "active": point, "inputs": names + ["attention_mask"] * masked}
    (place / "1" / "router.json").write_text(json.dumps(told, indent=1))
    kinds = [NUMPY.get(one["dtype"], one["dtype"].upper()) for one in routing["inputs"]]
    ins = [tensor(one["name"], kind, one["shape"]) for one, kind in zip(routing["inputs"], kinds, strict=True)]
    outs = [tensor("logits", "FP32", [routing["classes"]]), tensor("label", "INT64", [1])]
    outs += [tensor("exit_index", "INT64", [1]), tensor("confidence", "FP32", [1])]
    more = "instance_group [ { count: 2 kind: KIND_CPU } ]"
    (place / "config.pbtxt").write_text(config(name, "python", ins, outs, more))


def main(folder, name, point, repository):
    folder, repository = Path(folder), Path(repository)
    routing = json.loads((folder / "routing.json").read_text())
    if routing.get("rule", "direct") != "direct":
        raise SystemExit(f"expected scores that decide alone, got the rule {routing['rule']}; use offramp serve")
    point = routing["aliases"].get(point, point)
    cut = routing["cuts"][routing["points"][point]["cut"]]
    stages = [stage(folder, repository, name, entry, number) for number, entry in enumerate(cut)]
    router(repository, name, routing, point, stages)


if __name__ == "__main__":
    main(*sys.argv[1:])
