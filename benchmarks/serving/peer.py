"""The uncut model behind LitServe, as its documentation has it: `python -m benchmarks.serving.peer FILE PORT WAIT`.

One image per request, base64 in JSON, which LitServe's own parsing takes; batches of up to 32; the fast queue.
"""

import base64
import sys
from typing import Any

import litserve  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import onnxruntime


class Api(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """The model; made anew in LitServe's own worker process."""

    def __init__(self, path: str, wait: float) -> None:
        super().__init__(max_batch_size=32, batch_timeout=wait)
        self._path = path

    def setup(self, device: str) -> None:
        """Loads the model, for one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self._path, options, ["CPUExecutionProvider"])

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """The image of a request."""
        return np.frombuffer(base64.b64decode(request["image"]), np.float32).reshape(3, 32, 32)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Images of several requests."""
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Their classes; `x` has no batch axis where LitServe does not batch."""
        logits = np.asarray(self.session.run(None, {"input0": x})[0])
        found: np.ndarray = logits.argmax(axis=1)
        return found

    def unbatch(self, output: np.ndarray) -> list[int]:
        """One class each."""
        return [int(one) for one in output]

    def encode_response(self, output: int) -> dict[str, int]:
        """A reply."""
        return {"label": output}


def main() -> None:
    """Serves until it is stopped."""
    path, port, wait = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    server = litserve.LitServer(Api(path, wait), accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
